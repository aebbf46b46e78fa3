"""Small edits of ResNet8's int8 ONNX graphs: what an operator stores, by layer and role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from conversion.proof.faults.fault import Inject
from conversion.proof.faults.graph_edits import constant, store, stored
from conversion.proof.faults.injection import in_onnx
from conversion.workspace import Workspace

INT8 = "onnx-int8"

Edit = Callable[[np.ndarray], np.ndarray]
"""Takes a stored array and returns another of the same shape."""

KERNELS = {
    "conv2d": (16, 3, 3, 3),
    "conv2d_1": (16, 16, 3, 3),
    "conv2d_2": (16, 16, 3, 3),
    "conv2d_3": (32, 16, 3, 3),
    "conv2d_4": (32, 32, 3, 3),
    "conv2d_5": (32, 16, 1, 1),
    "conv2d_6": (64, 32, 3, 3),
    "conv2d_7": (64, 64, 3, 3),
    "conv2d_8": (64, 32, 1, 1),
}
"""Convolution to the shape of its kernel; `conv2d_1` comes before `conv2d_2` in every graph."""

NOISE = 3
"""Seed of the noise on kernels."""

SUMS = ("add", "add_1", "add_2")

_CONV = ("", "read_scale", "read_zero_point", "kernel", "kernel_scale", "kernel_zero_point")
_ENDS = ("scale", "zero_point")
ROLES = {
    "QLinearConv": (*_CONV, *_ENDS, "bias"),
    "QGemm": (*_CONV, "bias", *_ENDS),
    "QLinearAdd": ("", "read_scale", "read_zero_point", "", "", "", *_ENDS),
    "QuantizeLinear": ("", *_ENDS),
    "DequantizeLinear": ("", *_ENDS),
    "Conv": ("", "kernel", "bias"),
}
"""Operator to what each of its inputs is."""


def operator(model: ModelProto, layer: str) -> NodeProto:
    """The node that computes a layer; the input's is the one that quantizes it."""
    nodes: list[NodeProto] = list(model.graph.node)
    if layer in KERNELS:
        sizes = _sizes(model)
        convs = [each for each in nodes if each.op_type in ("QLinearConv", "Conv")]
        alike = [each for each in convs if sizes.get(_kernel(model, each)) == KERNELS[layer]]
        return alike[1 if layer == "conv2d_2" else 0]
    if layer in SUMS:
        return [each for each in nodes if each.op_type == "QLinearAdd"][SUMS.index(layer)]
    kind = {"dense": "QGemm", "input_1": "QuantizeLinear"}[layer]
    return next(each for each in nodes if each.op_type == kind)


def writer(model: ModelProto, tensor: str) -> NodeProto:
    """The node that gives a tensor."""
    made: NodeProto = next(each for each in model.graph.node if tensor in each.output)
    return made


def change(model: ModelProto, layer: str, role: str, edit: Edit) -> None:
    """Change what a layer's node stores, for every node that stores it together with it."""
    node = operator(model, layer)
    name = node.input[ROLES[node.op_type].index(role)]
    store(model, name, _like(stored(model, name), edit))


def change_alone(model: ModelProto, node: NodeProto, role: str, edit: Edit) -> None:
    """Change what a node stores, and leave every other node with what was there."""
    place = ROLES[node.op_type].index(role)
    node.input[place] = constant(model, _like(stored(model, node.input[place]), edit))


def in_parameter(layer: str, role: str, edit: Edit) -> Inject:
    """A fault in one thing that a layer of the int8 file stores."""
    return in_onnx(lambda model: change(model, layer, role, edit), INT8)


def in_parameters(layers: tuple[str, ...], role: str, edit: Edit) -> Inject:
    """The same fault in several layers of the int8 file."""

    def fault(model: ModelProto) -> None:
        for layer in layers:
            change(model, layer, role, edit)

    return in_onnx(fault, INT8)


def in_qdq(fault: Callable[[ModelProto], ModelProto | None]) -> Inject:
    """A fault in the graph of an int8 file in QDQ format."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        return in_onnx(fault, INT8)(as_qdq(workspace), folder)

    return inject


def as_qdq(workspace: Workspace) -> Workspace:
    """The same subject quantized in QDQ format."""
    scheme = replace(workspace.settings.onnx, format="qdq")
    return workspace.with_settings(replace(workspace.settings, onnx=scheme))


def scaled(factor: float) -> Edit:
    """Every element times a factor."""
    return lambda array: array * np.asarray(factor, array.dtype)


def moved(step: int) -> Edit:
    """Every integer moved by a step, within what its type holds."""
    return lambda array: np.clip(array.astype(np.int64) + step, *_bounds(array))


def activation_zero_points(model: ModelProto) -> list[str]:
    """The zero points of activations, by their constants' names."""
    kind = TensorProto.UINT8
    return [t.name for t in model.graph.initializer if t.data_type == kind and not t.dims]


def activation_scales(model: ModelProto) -> list[str]:
    """The scales of activations, by their constants' names."""
    kind = TensorProto.FLOAT
    return [t.name for t in model.graph.initializer if t.data_type == kind and not t.dims]


def noisy(floats: ModelProto, share: float) -> None:
    """Add noise to every convolution's kernel.

    Args:
        floats: the prepared float graph.
        share: the noise, as a share of the kernel's spread.
    """
    random = np.random.RandomState(NOISE)
    for layer in KERNELS:
        name = operator(floats, layer).input[1]
        kernel = stored(floats, name)
        noise = random.normal(0, share * kernel.std(), kernel.shape)
        store(floats, name, (kernel + noise).astype(np.float32))


def _bounds(array: np.ndarray) -> tuple[int, int]:
    limits = np.iinfo(array.dtype)
    return int(limits.min), int(limits.max)


def _like(array: np.ndarray, edit: Edit) -> np.ndarray:
    return np.asarray(edit(array.copy()), array.dtype).reshape(array.shape)


def _kernel(model: ModelProto, node: NodeProto) -> str:
    name = node.input[ROLES[node.op_type].index("kernel")]
    made = [each for each in model.graph.node if name in each.output]
    return str(made[0].input[0] if made else name)


def _sizes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
