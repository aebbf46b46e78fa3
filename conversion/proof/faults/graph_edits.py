"""Small edits of the ONNX graph that tf2onnx makes of ResNet8: find, insert and drop nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from conversion.core.spec import Layer, Spec
from conversion.proof.faults.fault import Inject
from conversion.proof.faults.injection import in_onnx
from conversion.workspace import Workspace

NORMS = ("batch_normalization", *(f"batch_normalization_{index}" for index in range(1, 7)))
RELUS = ("activation", *(f"activation_{index}" for index in range(1, 7)))
CONVS = (
    *("conv2d", "conv2d_1", "conv2d_2", "conv2d_5", "conv2d_3", "conv2d_4"),
    *("conv2d_8", "conv2d_6", "conv2d_7"),
)

ORDER = {
    "Transpose": ("input_1",),
    "Conv": CONVS,
    "Mul": NORMS,
    "Add": (*NORMS[:3], "add", *NORMS[3:5], "add_1", *NORMS[5:], "add_2", "dense"),
    "Relu": RELUS,
    "AveragePool": ("average_pooling2d",),
    "Reshape": ("flatten",),
    "MatMul": ("dense",),
    "Softmax": ("dense",),
}
"""Operator to the layers of its nodes, in the graph's order."""


def node(model: ModelProto, operator: str, layer: str) -> NodeProto:
    """A layer's node, found by its place among those of its operator."""
    found: list[NodeProto] = [each for each in model.graph.node if each.op_type == operator]
    return found[ORDER[operator].index(layer)]


def scale_and_shift(model: ModelProto, layer: str) -> tuple[NodeProto, NodeProto]:
    """The two nodes of a BatchNormalization."""
    return node(model, "Mul", layer), node(model, "Add", layer)


def floats(*values: float) -> np.ndarray:
    """Values as a constant of factors or summands; one value is a scalar."""
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def ints(*values: int) -> np.ndarray:
    """Values as a constant of indices or sizes."""
    return np.array(values, np.int64)


def constant(model: ModelProto, array: np.ndarray) -> str:
    """The name of a new constant."""
    name = f"constant_{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def store(model: ModelProto, name: str, array: np.ndarray) -> None:
    """Put other values into a constant; only the elements and their number may change."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(array, name))


def stored(model: ModelProto, name: str) -> np.ndarray:
    """The values of a constant."""
    tensor = next(each for each in model.graph.initializer if each.name == name)
    return np.array(numpy_helper.to_array(tensor))


def set_attribute(changed: NodeProto, name: str, value: Any) -> None:
    """Set an attribute of a node, whether it has it or not."""
    kept = [each for each in changed.attribute if each.name != name]
    del changed.attribute[:]
    changed.attribute.extend([*kept, helper.make_attribute(name, value)])


def attribute(found: NodeProto, name: str) -> Any:
    """An attribute of a node."""
    return next(helper.get_attribute_value(a) for a in found.attribute if a.name == name)


def behind(
    model: ModelProto, before: NodeProto, operator: str, *constants: np.ndarray, **attributes: Any
) -> NodeProto:
    """Put an operator behind a node, so that whatever reads the node reads the operator.

    Args:
        model: the graph.
        before: the node.
        operator: what to insert.
        constants: its inputs after the first.
        attributes: its attributes.
    """
    name = before.output[0]
    before.output[0] = f"{name}_{operator}_{len(model.graph.node)}"
    reads = [before.output[0], *(constant(model, array) for array in constants)]
    made = helper.make_node(operator, reads, [name], **attributes)
    return _inserted(model, list(model.graph.node).index(before) + 1, made)


def ahead(
    model: ModelProto, reader: NodeProto, operator: str, *constants: np.ndarray, **attributes: Any
) -> NodeProto:
    """Put an operator ahead of a node's first input; other readers of the input keep it.

    Args:
        model: the graph.
        reader: the node.
        operator: what to insert.
        constants: its inputs after the first.
        attributes: its attributes.
    """
    reads = [reader.input[0], *(constant(model, array) for array in constants)]
    name = f"{reader.input[0]}_{operator}_{len(model.graph.node)}"
    made = helper.make_node(operator, reads, [name], **attributes)
    place = list(model.graph.node).index(reader)
    reader.input[0] = name
    return _inserted(model, place, made)


def _inserted(model: ModelProto, place: int, made: NodeProto) -> NodeProto:
    model.graph.node.insert(place, made)
    found: NodeProto = model.graph.node[place]  # the graph holds a copy
    return found


def drop(model: ModelProto, dropped: NodeProto, instead: int = 0) -> None:
    """Take a node out; whatever read it reads one of its inputs instead."""
    source, target = dropped.input[instead], dropped.output[0]
    model.graph.node.remove(dropped)
    if target in {value.name for value in model.graph.output}:
        source, target = target, source  # the graph's output keeps its name
    for each in model.graph.node:
        for names in (each.input, each.output):
            names[:] = [source if name == target else name for name in names]


def in_weights_of_onnx(change: Callable[[Spec], Spec], name: str = "onnx-fp32") -> Inject:
    """A fault of the converter: an ONNX file with the weights of a spec that was misread.

    Args:
        change: returns a spec with other weights; layers that it leaves alone keep their bits.
        name: the artifact.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        good, wrong = workspace.spec, change(workspace.spec)

        def write(model: ModelProto) -> None:
            for ours, theirs in zip(good.layers, wrong.layers, strict=True):
                if ours is not theirs and theirs.weights:
                    _write(model, theirs)

        return in_onnx(write, name)(workspace, folder)

    return inject


def _write(model: ModelProto, layer: Layer) -> None:
    if layer.kind == "BatchNormalization":
        scale, shift = folded(layer)
        store(model, node(model, "Mul", layer.name).input[1], scale[None, :, None, None])
        store(model, node(model, "Add", layer.name).input[1], shift[None, :, None, None])
        return
    kernel = layer.weights["kernel"]
    if layer.kind == "Dense":
        store(model, node(model, "MatMul", layer.name).input[1], kernel)
        store(model, node(model, "Add", layer.name).input[1], layer.weights["bias"])
        return
    conv = node(model, "Conv", layer.name)
    store(model, conv.input[1], np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
    store(model, conv.input[2], layer.weights["bias"])


def folded(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """A BatchNormalization as a factor and a summand of each channel, float32."""
    gamma, beta, mean, variance = (
        layer.weights[role].astype(np.float64)
        for role in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + layer.config["epsilon"])
    return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)


def rename(model: ModelProto, old: str, new: str) -> None:
    """Give a tensor, an input or an output of the graph another name."""
    for value in (*model.graph.input, *model.graph.output):
        if value.name == old:
            value.name = new
    for each in model.graph.node:
        for names in (each.input, each.output):
            names[:] = [new if name == old else name for name in names]


def port(name: str, dtype: int, shape: list[Any]) -> onnx.ValueInfoProto:
    """An input or output of a graph."""
    return helper.make_tensor_value_info(name, dtype, shape)
