"""What a calibration yields for a PyTorch module: scale and zero point of every activation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from conversion.backends.backend import Ingredients
from conversion.backends.torch_fp32 import rebuild
from conversion.quantization.calibration import batches
from conversion.quantization.torch_prepared import engine, observers, prepare


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Run the calibration images through the prepared module and save what its observers found.

    Returns:
        Provenance, with the ranges themselves: observer to scale and zero point.
    """
    scheme = ingredients.settings.torch
    calibration = ingredients.artifacts["calibration"]
    source = ingredients.artifacts["torch-fp32"]
    with engine(scheme.engine), torch.inference_mode():
        module, _ = prepare(rebuild(source.path, ingredients.spec.custom), scheme)
        for batch in batches(calibration.path):
            module(torch.from_numpy(batch))
        ranges = {}
        for name, observer in observers(module).items():
            scale, zero_point = observer.calculate_qparams()
            ranges[name] = {"scale": float(scale), "zero_point": int(zero_point)}
    target.write_text(json.dumps(ranges, indent=1))
    return {
        "source": ingredients.spec.digest,
        "route": f"PyTorch observers, {scheme.label}",
        "torch": source.digest,
        "calibration": calibration.provenance["content"],
        "versions": ingredients.versions,
        "ranges": ranges,
    }
