"""Faults of layers in the graph of a float ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto

from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.onnx_graph import Graph, attribute, floats, ints, set_attribute
from conversion.proof.standard.neighbours import sources_elsewhere

OfGraph = Callable[[Graph, Sequence[str], Any], ModelProto | None]
"""Changes a graph, or returns another one, by names of layers and a size or other value."""

END = np.iinfo(np.int64).max

ACTIVATIONS = (
    *("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish"),
    *("Tanh", "Softplus", "Softsign", "Erf", "Gelu", "Mish", "ThresholdedRelu"),
)
EXCHANGED = {
    "Relu": "Elu",
    "Elu": "Relu",
    "Clip": "Relu",
    "Sigmoid": "HardSigmoid",
    "Tanh": "Sigmoid",
}
"""Operator of an activation to the one that may be taken for it."""

SUMS, POOLS = ("Add", "Sum"), ("AveragePool", "GlobalAveragePool", "MaxPool", "GlobalMaxPool")


def each(change: Callable[[Graph, str, Any], Any]) -> OfGraph:
    """The same change for every layer that is named."""

    def changed(graph: Graph, layers: Sequence[str], value: Any) -> None:
        for layer in layers:
            change(graph, layer, value)

    return changed


def of_node(operators: Sequence[str], change: Callable[[Graph, NodeProto, Any], Any]) -> OfGraph:
    """A change of the node of every layer that is named.

    Args:
        operators: what the node may be.
        change: changes it.
    """
    return each(lambda graph, layer, value: change(graph, graph.node(layer, *operators), value))


def of_kernel(change: Callable[[Graph, NodeProto, Any], Any]) -> OfGraph:
    """A change of the node that multiplies with a layer's kernel."""
    return each(lambda graph, layer, value: change(graph, graph.weighted(layer), value))


def filled(graph: Graph, conv: NodeProto, mode: str) -> None:
    """Padding with what lies at the border instead of zeros."""
    pads = attribute(conv, "pads")
    if not pads or not any(pads):
        raise NotInjectable(f"{conv.name} is not padded")
    half = len(pads) // 2
    set_attribute(conv, "pads", [0] * len(pads))
    graph.ahead(conv, "Pad", ints(0, 0, *pads[:half], 0, 0, *pads[half:]), mode=mode)


def padded_afterwards(graph: Graph, conv: NodeProto, _: Any) -> None:
    """A convolution as `valid`, and zeros around its output."""
    pads = attribute(conv, "pads")
    set_attribute(conv, "pads", [0] * len(pads))
    graph.behind(conv, "Pad", ints(0, 0, *pads[:2], 0, 0, *pads[2:]), mode="constant")


def other_pads(graph: Graph, conv: NodeProto, pads: Sequence[int] | None) -> None:
    """Another padding: top, left, bottom, right; each side for the other by default."""
    found = attribute(conv, "pads") or []
    half = len(found) // 2
    chosen = list(pads or [*found[half:], *found[:half]])
    if chosen == list(found):
        raise NotInjectable(f"{conv.name} is padded alike on both sides")
    set_attribute(conv, "pads", chosen)


def odd_pixels(graph: Graph, conv: NodeProto, _: Any) -> None:
    """A convolution that begins at the second row and column."""
    graph.ahead(conv, "Slice", ints(1, 1), ints(END, END), ints(2, 3))


def without_bias(graph: Graph, layer: str, _: Any) -> None:
    """A layer without its bias: a third input, or a sum behind."""
    found = graph.weighted(layer)
    if found.op_type != "MatMul" and len(found.input) == 3:
        del found.input[2]
    else:
        graph.drop(graph.node(layer, "Add"))


def folded_without_bias(graph: Graph, layer: str, _: Any) -> None:
    """A BatchNormalization folded into the convolution, whose own bias is forgotten."""
    scale, shift = graph.scale_and_shift(layer)
    conv = graph.writer(scale.input[0])
    factor, summand = (graph.stored(found.input[1]).ravel() for found in (scale, shift))
    graph.store(conv.input[1], graph.stored(conv.input[1]) * factor[:, None, None, None])
    graph.store(conv.input[2], summand)
    graph.drop(scale)
    graph.drop(shift)


def of_the_batch(graph: Graph, name: str, _: Any) -> None:
    """A BatchNormalization with the mean and variance of the batch, not the moving ones."""
    layer = graph.spec.layer(name)
    scale, shift = graph.scale_and_shift(name)
    vectors = [layer.weights[r] for r in ("gamma", "beta", "moving_mean", "moving_variance")]
    eps = layer.config["epsilon"]
    made = graph.ahead(scale, "BatchNormalization", *vectors, epsilon=eps, training_mode=1)
    made.output.extend(["batch_mean", "batch_variance"])
    graph.drop(scale)
    graph.drop(shift)


def norm_left_out(graph: Graph, layer: str, _: Any) -> None:
    """A BatchNormalization left out."""
    for node in graph.scale_and_shift(layer):
        graph.drop(node)


def capped(graph: Graph, relu: NodeProto, _: Any) -> None:
    """ReLU6 for a ReLU, as a Clip from 0 to 6."""
    relu.op_type = "Clip"
    relu.input.extend(graph.constant(floats(end)) for end in (0, 6))


def leaky(graph: Graph, relu: NodeProto, slope: float) -> None:
    """A slope below zero in a ReLU."""
    relu.op_type = "LeakyRelu"
    set_attribute(relu, "alpha", slope)


def before_its_relu(graph: Graph, layer: str, _: Any) -> None:
    """The shortcut of a sum taken in front of the ReLU that it goes through."""
    add = graph.node(layer, "Add")
    writers = {name: node for node in graph.model.graph.node for name in node.output}
    place, relu = next(
        (place, writers[name])
        for place, name in enumerate(add.input)
        if name in writers and writers[name].op_type == "Relu"
    )
    add.input[place] = relu.input[0]


def inputs_reversed(_: Graph, node: NodeProto, __: Any) -> None:
    """What a node reads in reverse."""
    names = list(node.input)[::-1]
    node.input[:] = names


def other_activation(_: Graph, node: NodeProto, __: Any) -> None:
    """Another function in the place of an activation."""
    if node.op_type not in EXCHANGED:
        raise NotInjectable(f"nothing is usually taken for {node.op_type}")
    node.op_type = EXCHANGED[node.op_type]
    del node.attribute[:], node.input[1:]


def twice(graph: Graph, node: NodeProto, _: Any) -> None:
    """An activation that is applied once more."""
    graph.behind(node, node.op_type).attribute.extend(node.attribute)


def by_tanh(graph: Graph, erf: NodeProto, _: Any) -> None:
    """The error function of a GELU by the approximation with tanh: ``x`` is its input by root 2."""
    x, root = erf.input[0], np.sqrt(np.pi)
    for operator, value in (("Pow", 2.0), ("Mul", 4 * 0.044715 / root), ("Add", 2 / root)):
        graph.ahead(erf, operator, floats(value))
    graph.ahead(erf, "Mul").input.append(x)
    erf.op_type = "Tanh"


def other_interpolation(_: Graph, node: NodeProto, __: Any) -> None:
    """Bilinear for nearest, or the other way round."""
    own = attribute(node, "mode") or b"nearest"
    set_attribute(node, "mode", "linear" if own == b"nearest" else "nearest")


def counting_padding(_: Graph, pool: NodeProto, __: Any) -> None:
    """An average that counts the zeros around the image."""
    if not any(attribute(pool, "pads") or []):
        raise NotInjectable(f"{pool.name} is not padded")
    set_attribute(pool, "count_include_pad", 1)


def shortcut_from_elsewhere(graph: Graph, layer: str, _: Any) -> None:
    """A sum that reads what is before one of its sources, not the source."""
    add = graph.node(layer, *SUMS)
    for source, before in sources_elsewhere(graph.spec, graph.spec.layer(layer)):
        own, other = graph.tensors.get(source, ""), graph.tensors.get(before, "")
        if own in add.input and other not in ("", own):
            add.input[list(add.input).index(own)] = other
            return
    raise NotInjectable(f"what is before the sources of {layer} is no tensor of its own")


def column_major(graph: Graph, pool: NodeProto, shape: Sequence[int]) -> None:
    """Values flattened as if they were an image of that shape, columns first."""
    square = graph.behind(pool, "Reshape", ints(-1, *shape))
    graph.behind(square, "Transpose", perm=[0, 2, 1])


def other_operator(graph: Graph, node: NodeProto, operator: str) -> None:
    """Another operator in the place of a node."""
    if node.op_type == operator:
        raise NotInjectable(f"{node.name} is a {operator} already")
    node.op_type = operator
    common = ("kernel_shape", "pads", "strides", "auto_pad", "ceil_mode")  # of both poolings
    kept = [each for each in node.attribute if "Pool" not in operator or each.name in common]
    del node.attribute[:]
    node.attribute.extend(kept if operator != "Sigmoid" else [])


def other_pooling(graph: Graph, node: NodeProto, operator: str | None) -> None:
    """Another pooling; the largest value for the average or the other way round by default."""
    pair = ("Average", "Max") if "Average" in node.op_type else ("Max", "Average")
    other_operator(graph, node, operator or node.op_type.replace(*pair))


OPERATORS: Mapping[str, OfGraph] = {
    "pads": of_kernel(other_pads),
    "pad-mode": of_kernel(filled),
    "padded-afterwards": of_kernel(padded_afterwards),
    "odd-pixels": of_kernel(odd_pixels),
    "bias-lost": each(without_bias),
    "folded-without-bias": each(folded_without_bias),
    "of-the-batch": each(of_the_batch),
    "left-out": each(norm_left_out),
    "activation-missing": of_node(ACTIVATIONS, lambda graph, node, _: graph.drop(node)),
    "activation-exchanged": of_node(ACTIVATIONS, other_activation),
    "activation-twice": of_node(("Softmax", "Sigmoid", "Tanh"), twice),
    "gelu-by-tanh": of_node(("Erf",), by_tanh),
    "slope": of_node(
        ("LeakyRelu",),
        lambda _, node, size: set_attribute(node, "alpha", (1 + size) * attribute(node, "alpha")),
    ),
    "relu-behind": of_node(SUMS, lambda graph, node, _: graph.behind(node, "Relu")),
    "relu6": of_node(("Relu",), capped),
    "leaky": of_node(("Relu",), leaky),
    "one-side-of-sum": of_node(SUMS, lambda graph, node, kept: graph.drop(node, kept)),
    "inputs-reversed": of_node(("Concat", "Sub"), inputs_reversed),
    "before-its-relu": each(before_its_relu),
    "shortcut-elsewhere": each(shortcut_from_elsewhere),
    "resize-kind": of_node(("Resize",), other_interpolation),
    "pool-kind": of_node(POOLS, other_pooling),
    "pool-pads": of_node(POOLS, other_pads),
    "pool-counts-padding": of_node(("AveragePool",), counting_padding),
    "pool-times": of_node(
        POOLS, lambda graph, node, size: graph.behind(node, "Mul", floats(1 + size))
    ),
    "pool-window": of_node(
        POOLS, lambda _, node, window: set_attribute(node, "kernel_shape", window)
    ),
    "pool-dilated": of_node(POOLS, lambda _, node, by: set_attribute(node, "dilations", by)),
    "columns-first": of_node(POOLS, column_major),
    "node-gone": of_node(ACTIVATIONS, lambda graph, node, _: graph.model.graph.node.remove(node)),
}
"""Name to a fault of layers in a graph."""
