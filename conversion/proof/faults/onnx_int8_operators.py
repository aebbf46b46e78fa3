"""Faults of int8 ONNX files alone: in what a node reads, in QDQ format, in the float graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, helper

from conversion.proof.faults.integer_operators import OfValue, moved, of, read, times
from conversion.proof.faults.onnx_graph import WEIGHTED, Graph, set_attribute
from conversion.proof.faults.onnx_operators import OfGraph, each


def disagreeing(role: str, edit: OfValue) -> OfGraph:
    """A layer reads its input by another scale or zero point than it was written with."""
    return each(
        lambda graph, layer, value: graph.change_alone(
            graph.operator(layer), role, lambda array: edit(array, value)
        )
    )


def disagreeing_qdq(role: str, edit: OfValue) -> OfGraph:
    """The same between the QuantizeLinear and the DequantizeLinear ahead of a layer."""
    return each(
        lambda graph, layer, value: graph.change_alone(
            graph.writer(graph.operator(layer).input[0]), role, lambda array: edit(array, value)
        )
    )


def axis_wrong(graph: Graph, layer: str, axis: int) -> None:
    """The scales of a kernel in QDQ format are laid along another axis."""
    set_attribute(graph.writer(graph.operator(layer).input[1]), "axis", axis)


def one_class_lower(graph: Graph, layer: str, share: float) -> None:
    """The bias of the first class is lower by a share of the range that the outputs have."""
    step = float(read(graph, layer, "read_scale")) * read(graph, layer, "kernel_scale").flat[0]
    lower = round(share * 255 * float(read(graph, layer, "scale")) / step)

    def edit(bias: np.ndarray) -> np.ndarray:
        bias[0] -= lower
        return bias

    graph.edit(layer, "bias", edit)


def weights_alone(model: ModelProto, graph: Graph) -> ModelProto:
    """A float graph whose kernels are stored in int8 and cast to float.

    Args:
        model: the float graph, which is changed.
        graph: of it.
    """
    kernels = {t.name: graph.stored(t.name) for t in model.graph.initializer if len(t.dims) > 1}
    for node in [n for n in model.graph.node if n.op_type in WEIGHTED and n.input[1] in kernels]:
        kernel = kernels[node.input[1]]
        axis = 0 if node.op_type == "Conv" else 1
        scale = np.abs(kernel).max(axis=tuple(set(range(kernel.ndim)) - {axis})) / 127
        shape = [-1 if i == axis else 1 for i in range(kernel.ndim)]
        whole = np.rint(kernel / scale.reshape(shape)).astype(np.int8)
        zeros = np.zeros(scale.shape, np.int8)
        reads = [graph.constant(array) for array in (whole, scale.astype(np.float32), zeros)]
        cast = helper.make_node("DequantizeLinear", reads, [f"{reads[0]}_real"], axis=axis)
        node.input[1] = cast.output[0]
        model.graph.node.insert(0, cast)
    read = {name for node in model.graph.node for name in node.input}
    for tensor in [t for t in model.graph.initializer if t.name in kernels.keys() - read]:
        model.graph.initializer.remove(tensor)
    return model


def noisy(graph: Graph, share: float) -> None:
    """Noise on every convolution's kernel, as a share of the kernel's spread."""
    random = np.random.RandomState(3)
    for node in [n for n in graph.model.graph.node if n.op_type == "Conv"]:
        kernel = graph.stored(node.input[1])
        noise = random.normal(0, share * kernel.std(), kernel.shape)
        graph.store(node.input[1], (kernel + noise).astype(np.float32))


OPERATORS: Mapping[str, Any] = {
    "read-scale-times": disagreeing("read_scale", times),
    "read-zero-point-off": disagreeing("read_zero_point", moved),
    "qdq:scale-times": disagreeing_qdq("scale", times),
    "qdq:zero-point-off": disagreeing_qdq("zero_point", moved),
    "qdq:axis": each(axis_wrong),
    "kernel-zero-point-off": of("kernel_zero_point", moved),
    "one-class-lower": each(one_class_lower),
}
"""Name to a fault of an int8 graph; ``qdq:`` of one in QDQ format."""
