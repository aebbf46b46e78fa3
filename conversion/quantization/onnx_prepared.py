"""ONNX Runtime's own pre-processing, which folds BatchNormalization before quantization."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import shape_inference

from conversion.backends.backend import Ingredients
from conversion.backends.onnx_file import census, load
from conversion.backends.onnx_nodes import MULTIPLYING, values


def own_biases(model: onnx.ModelProto) -> int:
    """Give every node a bias of its own.

    A bias becomes whole numbers of the scale of its node's input. ONNX Runtime makes them once a
    name, so that a layer that is called twice would add the first call's numbers in both.

    Args:
        model: is changed.

    Returns:
        How many were copied.
    """
    stored = {each.name: each for each in model.graph.initializer}
    taken: set[str] = set()
    copied = 0
    for node in model.graph.node:
        at = values(node.op_type)[2:3] if node.op_type in MULTIPLYING else ()
        if not at or at[0] >= len(node.input) or node.input[at[0]] not in stored:
            continue
        name = node.input[at[0]]
        if name in taken:
            own = onnx.TensorProto()
            own.CopyFrom(stored[name])
            own.name = f"{name}/{node.output[0]}"
            model.graph.initializer.append(own)
            node.input[at[0]] = own.name
            copied += 1
        taken.add(name)
    return copied


def own_names(model: onnx.ModelProto) -> int:
    """Give every node a name, by which quantization can leave it out.

    Args:
        model: is changed.

    Returns:
        How many had none.
    """
    nameless = [node for node in model.graph.node if not node.name]
    for node in nameless:
        node.name = f"{node.op_type} {node.output[0]}"
    return len(nameless)


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Infer shapes and fold constants, as `onnxruntime.quantization` asks for before it starts."""
    source = ingredients.artifacts["onnx-fp32"]
    shape_inference.quant_pre_process(str(source.path), str(target), skip_symbolic_shape=True)
    model = load(target)
    if own_biases(model) + own_names(model):
        onnx.save(model, str(target))
    onnx.checker.check_model(model, full_check=True)
    return {
        "source": ingredients.spec.digest,
        "route": "onnxruntime.quantization.quant_pre_process",
        "onnx": source.digest,
        "census": census(model),
    }
