"""Faults in what an int8 ONNX file stores: scales, zero points, integer kernels and biases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper

from conversion.proof.faults.onnx_graph import WEIGHTED, Graph, like, set_attribute
from conversion.proof.faults.onnx_operators import OfGraph, each
from conversion.proof.faults.places import layouts
from conversion.proof.faults.stored_weights import factors, following

OfValue = Callable[[np.ndarray, Any], np.ndarray]


def stored(role: str, edit: OfValue) -> OfGraph:
    """A fault in one thing that a layer's node stores, for all that share it."""
    return each(
        lambda graph, layer, value: graph.change(
            graph.operator(layer), role, lambda array: edit(array, value)
        )
    )


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


def of_activations(kind: int, edit: OfValue) -> OfGraph:
    """A fault in the scales or the zero points of all activations."""

    def change(graph: Graph, _: Sequence[str], value: Any) -> None:
        for tensor in list(graph.model.graph.initializer):
            if tensor.data_type == kind and not tensor.dims:
                found = graph.stored(tensor.name)
                graph.store(tensor.name, like(found, lambda array: edit(array, value)))

    return change


def times(array: np.ndarray, factor: float) -> np.ndarray:
    """Every element times a factor."""
    return np.asarray(array * np.asarray(factor, array.dtype))


def moved(array: np.ndarray, step: float) -> np.ndarray:
    """Every integer moved by a step, within what its type holds."""
    limits = np.iinfo(array.dtype)
    return np.asarray(np.clip(array.astype(np.int64) + int(step), limits.min, limits.max))


def first_times(array: np.ndarray, factor: float) -> np.ndarray:
    """The first element times a factor."""
    array.flat[0] *= factor
    return array


def of_smallest(step: Callable[[int], int]) -> OfValue:
    """Another value in the byte of smallest size."""

    def edit(array: np.ndarray, _: Any) -> np.ndarray:
        place = int(np.abs(array.astype(np.int64)).argmin())
        array.flat[place] = np.uint8(step(int(array.flat[place])) & 0xFF).view(np.int8)
        return array

    return edit


def in_steps(kernel: np.ndarray, step: int) -> np.ndarray:
    """Integers that are multiples of a step: 4 leaves six bits, 16 leaves four."""
    return np.asarray(np.clip(step * np.rint(kernel / step), step - 128, 128 - step))


def swapped(graph: Graph, layers: Sequence[str], _: Any) -> None:
    """Scale and zero point of what two layers give are exchanged."""
    nodes = [graph.operator(layer) for layer in layers]
    first, second = ([n.input[graph.slot(n, r)] for r in ("scale", "zero_point")] for n in nodes)
    renamed = dict(zip([*first, *second], [*second, *first], strict=True))
    for node in graph.model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def twins_swapped(graph: Graph, layers: Sequence[str], _: Any) -> None:
    """The integer kernels of two layers of one shape are exchanged; their scales stay."""
    first, second = (graph.operator(layer) for layer in layers)
    first.input[3], second.input[3] = second.input[3], first.input[3]


def axis_wrong(graph: Graph, layer: str, axis: int) -> None:
    """The scales of a kernel in QDQ format are laid along another axis."""
    set_attribute(graph.writer(graph.operator(layer).input[1]), "axis", axis)


def not_rescaled(graph: Graph, layer: str, _: Any) -> None:
    """A bias is stored in steps of the first channel's scale, in all channels."""
    node = graph.operator(layer)
    scale = graph.read(node, "kernel_scale")
    graph.change(node, "bias", lambda bias: np.rint(bias * (scale / scale[0])))


def truncated(graph: Graph, layer: str, _: Any) -> None:
    """A kernel is truncated where it should be rounded."""
    node, norm = graph.operator(layer), following(graph.spec).get(layer)
    kernel = graph.spec.layer(layer).weights["kernel"]
    kernel = kernel if norm is None else kernel * factors(norm)[0]
    scale = graph.read(node, "kernel_scale")

    def edit(whole: np.ndarray) -> np.ndarray:
        step = scale.reshape(-1, *[1] * (whole.ndim - 1))
        every = [layout.write(kernel) / step for layout in layouts(kernel.shape, whole.shape)]
        nearest = min(every, key=lambda real: float(np.abs(real - whole).sum()))
        return np.asarray(np.trunc(nearest))

    graph.change(node, "kernel", edit)


def finer_steps(graph: Graph, layer: str, factor: float) -> None:
    """The steps of a kernel and of what it reads are too fine: most of the integers are large."""
    node = graph.operator(layer)
    for role in ("read_scale", "kernel_scale"):
        graph.change(node, role, lambda scale: scale / factor)
    graph.change(node, "kernel", lambda whole: np.clip(whole * factor, -127, 127).round())


def one_class_lower(graph: Graph, layer: str, share: float) -> None:
    """The bias of the first class is lower by a share of the range that the outputs have."""
    node = graph.operator(layer)
    steps = float(graph.read(node, "read_scale")) * np.ravel(graph.read(node, "kernel_scale"))[0]
    lower = round(share * 255 * float(graph.read(node, "scale")) / steps)

    def edit(bias: np.ndarray) -> np.ndarray:
        bias[0] -= lower
        return bias

    graph.change(node, "bias", edit)


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


def _one_ulp(scale: np.ndarray, _: Any) -> np.ndarray:
    return np.asarray(np.nextafter(scale, np.float32(np.inf)))


def _plus(array: np.ndarray, share: float) -> np.ndarray:
    return times(array, 1 + share)


OPERATORS: Mapping[str, OfGraph] = {
    "scale-times": stored("scale", times),
    "scale-off": stored("scale", _plus),
    "scale-ulp": stored("scale", _one_ulp),
    "zero-point-off": stored("zero_point", moved),
    "scales-times": of_activations(TensorProto.FLOAT, times),
    "zero-points-off": of_activations(TensorProto.UINT8, moved),
    "read-scale-times": disagreeing("read_scale", times),
    "read-zero-point-off": disagreeing("read_zero_point", moved),
    "qdq:scale-times": disagreeing_qdq("scale", times),
    "qdq:zero-point-off": disagreeing_qdq("zero_point", moved),
    "qdq:axis": each(axis_wrong),
    "scales-swapped": swapped,
    "kernel-scales-rolled": stored("kernel_scale", lambda scale, _: np.roll(scale, 1)),
    "channel-scale-times": stored("kernel_scale", first_times),
    "channel-scale-off": stored("kernel_scale", lambda scale, by: first_times(scale, 1 + by)),
    "kernel-in-steps": stored("kernel", in_steps),
    "kernel-clipped": stored("kernel", lambda kernel, end: np.clip(kernel, -end, end)),
    "kernel-truncated": each(truncated),
    "kernel-bit": stored("kernel", of_smallest(lambda value: value ^ 0x80)),
    "kernel-byte": stored("kernel", of_smallest(lambda value: value + 1)),
    "kernel-zero-point-off": stored("kernel_zero_point", moved),
    "kernels-swapped": twins_swapped,
    "bias-times": stored("bias", lambda bias, factor: np.floor(bias * factor)),
    "bias-not-rescaled": each(not_rescaled),
    "steps-finer": each(finer_steps),
    "one-class-lower": each(one_class_lower),
}
"""Name to a fault of an int8 graph; ``qdq:`` of one in QDQ format."""
