"""ONNX Runtime's own pre-processing, which folds BatchNormalization before quantization."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import shape_inference

from conversion.backends import Ingredients
from conversion.backends.onnx_file import census, load


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Infer shapes and fold constants, as `onnxruntime.quantization` asks for before it starts."""
    source = ingredients.artifacts["onnx-fp32"]
    shape_inference.quant_pre_process(str(source.path), str(target), skip_symbolic_shape=True)
    model = load(target)
    onnx.checker.check_model(model, full_check=True)
    return {
        "source": ingredients.spec.digest,
        "route": "onnxruntime.quantization.quant_pre_process",
        "onnx": source.digest,
        "census": census(model),
    }
