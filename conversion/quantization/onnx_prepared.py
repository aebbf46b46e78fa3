"""ONNX Runtime's own pre-processing, which folds BatchNormalization before quantization."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import shape_inference

from conversion.backends.backend import Ingredients
from conversion.backends.onnx_file import census, load
from conversion.backends.onnx_nodes import MULTIPLYING, attributes, values


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


def sums_apart(model: onnx.ModelProto) -> int:
    """Take a sum of two computed tensors out of a Gemm.

    ONNX Runtime fuses the product of a dense layer with the sum that follows, also where what is
    added is computed, as by a residual connection. Its quantizer then has no integer operator, and
    leaves the product in float with a kernel that is stored in eight bits.

    Args:
        model: is changed.

    Returns:
        How many sums were taken out.
    """
    stored, found = {each.name for each in model.graph.initializer}, 0
    for index, node in reversed(list(enumerate(model.graph.node))):
        if node.op_type != "Gemm" or len(node.input) < 3 or node.input[2] in (*stored, ""):
            continue
        settings = attributes(node)
        if any(settings.get(each, 1.0) != 1.0 for each in ("alpha", "beta")):
            continue
        if settings.get("transA", 0) or settings.get("transB", 0):
            continue
        product, (first, second, added) = f"{node.output[0]}/product", node.input
        model.graph.node.remove(node)
        for each in (
            onnx.helper.make_node("Add", [product, added], node.output, f"{node.name}/sum"),
            onnx.helper.make_node("MatMul", [first, second], [product], node.name),
        ):
            model.graph.node.insert(index, each)
        found += 1
    return found


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
    if sums_apart(model) + own_biases(model) + own_names(model):
        onnx.save(model, str(target))
    onnx.checker.check_model(model, full_check=True)
    return {
        "source": ingredients.spec.digest,
        "route": "onnxruntime.quantization.quant_pre_process",
        "onnx": source.digest,
        "census": census(model),
    }
