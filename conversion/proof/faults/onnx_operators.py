"""Faults in the graph of a float ONNX file: by the layer whose nodes they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.onnx_graph import Graph, attribute, floats, ints, set_attribute

OfGraph = Callable[[Graph, Sequence[str], Any], ModelProto | None]
"""Changes a graph, or returns another one, by names of layers and a size or other value."""

END = np.iinfo(np.int64).max
ANOTHER = "5" * 64
"""The digest of a source file that is not the subject's."""

ACTIVATIONS = (
    *("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish"),
    *("Tanh", "Softplus", "Softsign", "Erf", "Gelu", "Mish", "ThresholdedRelu"),
)
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


def of_first(change: Callable[[Graph, NodeProto, Any], Any]) -> OfGraph:
    """A change of the way to the node that reads the input."""

    def changed(graph: Graph, _: Sequence[str], value: Any) -> None:
        change(graph, graph.first_reader(), value)

    return changed


def through(*steps: tuple[Any, ...], **attributes: Any) -> OfGraph:
    """Images that pass some operators before the network gets them.

    Args:
        steps: each an operator and its constants, in order.
        attributes: of every operator.
    """

    def change(graph: Graph, first: NodeProto, _: Any) -> None:
        for operator, *constants in steps:
            graph.ahead(first, operator, *constants, **attributes)

    return of_first(change)


def channels_permuted(graph: Graph, first: NodeProto, order: Sequence[int]) -> None:
    """The image's channels in another order."""
    graph.ahead(first, "Gather", ints(*order), axis=3)


def flipped(graph: Graph, first: NodeProto, axis: int) -> None:
    """Images from their other end along an axis."""
    graph.ahead(first, "Slice", ints(-1), ints(-END), ints(axis), ints(-1))


def unread(graph: Graph, first: NodeProto, shape: Sequence[int]) -> None:
    """The buffer of (N, H, W, C) read as (N, C, H, W): a Reshape where a Transpose belongs."""
    if first.op_type != "Transpose":
        raise NotInjectable("the input is not transposed")
    first.op_type = "Reshape"
    del first.attribute[:]
    first.input.append(graph.constant(ints(-1, *shape)))


def signed(graph: Graph, first: NodeProto, _: Any) -> None:
    """Bytes read as signed: 128 and more become negative."""
    byte = graph.ahead(first, "Cast", to=TensorProto.UINT8)
    graph.behind(byte, "Cast", to=TensorProto.INT8)
    graph.ahead(first, "Cast", to=TensorProto.FLOAT)


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


def random_noise(graph: Graph, last: NodeProto, size: float) -> None:
    """Logits with noise drawn again in each run."""
    logits = last.input[0]
    graph.ahead(last, "RandomNormalLike", mean=0.0, scale=size)
    graph.ahead(last, "Add").input.append(logits)


def of_another_source(graph: Graph, _: Sequence[str], size: float) -> None:
    """Weights some way off, and metadata that name another source file."""
    drawn = np.random.default_rng(0)
    for name, found in graph.constants().items():
        noise = 1 + size * drawn.standard_normal(found.shape)
        graph.store(name, (found * noise).astype(np.float32))
    kept = {entry.key: entry.value for entry in graph.model.metadata_props}
    helper.set_model_props(graph.model, {**kept, "conversion.source": ANOTHER})


def batch_of_one(graph: Graph, _: Sequence[str], __: Any) -> None:
    """Inputs and outputs that say 1 where they said batch."""
    for value in (*graph.model.graph.input, *graph.model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def flattened_to_one(graph: Graph, flatten: NodeProto, _: Any) -> None:
    """A reshape to one row, whatever the batch, behind ports that promise any."""
    size = int(graph.stored(flatten.input[1])[-1])
    graph.store(flatten.input[1], ints(1, size))


def input_of_doubles(graph: Graph, first: NodeProto, _: Any) -> None:
    """The input as float64, cast inside."""
    graph.model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph.ahead(first, "Cast", to=TensorProto.FLOAT)


def output_of_doubles(graph: Graph, last: NodeProto, _: Any) -> None:
    """The output as float64."""
    graph.model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph.behind(last, "Cast", to=TensorProto.DOUBLE)


def extra_output(graph: Graph, last: NodeProto, classes: int) -> None:
    """The logits beside the probabilities."""
    shape: list[int | str | None] = ["batch", classes]
    port = helper.make_tensor_value_info(last.input[0], TensorProto.FLOAT, shape)
    graph.model.graph.output.append(port)


def other_opset(graph: Graph, _: Sequence[str], version: int) -> None:
    """Another operator set, whose operators here mean the same."""
    for found in graph.model.opset_import:
        if found.domain in ("", "ai.onnx"):
            found.version = version


CLIPPED = through(("Clip", floats(0), floats(127)))
EVEN = through(("Mul", floats(0.5)), ("Floor",), ("Mul", floats(2)))
MOVED = through(("Pad", ints(0, 0, 1, 0, 0, 0, 0, 0)), ("Slice", ints(0), ints(-1), ints(2)))

OPERATORS: Mapping[str, OfGraph] = {
    "input-channels": of_first(channels_permuted),
    "input-times": of_first(lambda graph, first, by: graph.ahead(first, "Mul", floats(by))),
    "input-brighter": of_first(
        lambda graph, first, size: graph.ahead(first, "Mul", floats(1 + size))
    ),
    "input-even": EVEN,
    "input-signed": of_first(signed),
    "input-clamped": CLIPPED,
    "input-flipped": of_first(flipped),
    "input-transposed": through(("Transpose",), perm=[0, 2, 1, 3]),
    "input-moved": MOVED,
    "input-unread": of_first(unread),
    "pads": of_kernel(other_pads),
    "pad-mode": of_kernel(filled),
    "padded-afterwards": of_kernel(padded_afterwards),
    "odd-pixels": of_kernel(odd_pixels),
    "bias-lost": each(without_bias),
    "folded-without-bias": each(folded_without_bias),
    "of-the-batch": each(of_the_batch),
    "left-out": each(norm_left_out),
    "activation-missing": of_node(ACTIVATIONS, lambda graph, node, _: graph.drop(node)),
    "relu-behind": of_node(SUMS, lambda graph, node, _: graph.behind(node, "Relu")),
    "relu6": of_node(("Relu",), capped),
    "leaky": of_node(("Relu",), leaky),
    "one-side-of-sum": of_node(SUMS, lambda graph, node, kept: graph.drop(node, kept)),
    "inputs-reversed": of_node(("Concat", "Sub"), inputs_reversed),
    "before-its-relu": each(before_its_relu),
    "pool-kind": of_node(POOLS, other_pooling),
    "pool-times": of_node(
        POOLS, lambda graph, node, size: graph.behind(node, "Mul", floats(1 + size))
    ),
    "pool-window": of_node(
        POOLS, lambda _, node, window: set_attribute(node, "kernel_shape", window)
    ),
    "pool-dilated": of_node(POOLS, lambda _, node, by: set_attribute(node, "dilations", by)),
    "columns-first": of_node(POOLS, column_major),
    "softmax-missing": of_node(("Softmax",), lambda graph, node, _: graph.drop(node)),
    "softmax-kind": of_node(("Softmax",), other_operator),
    "softmax-axis": of_node(("Softmax",), lambda _, node, axis: set_attribute(node, "axis", axis)),
    "temperature": of_node(
        ("Softmax",), lambda graph, node, size: graph.ahead(node, "Div", floats(1 + size))
    ),
    "classes-permuted": of_node(
        ("Softmax",),
        lambda graph, node, order: graph.behind(node, "Gather", ints(*order), axis=1),
    ),
    "random-logits": of_node(("Softmax",), random_noise),
    "of-another-source": of_another_source,
    "batch-of-one": batch_of_one,
    "flattened-to-one": of_node(("Reshape",), flattened_to_one),
    "renamed": lambda graph, _, names: graph.rename(*names),
    "input-of-doubles": of_first(input_of_doubles),
    "output-of-doubles": of_node(("Softmax",), output_of_doubles),
    "extra-output": of_node(("Softmax",), extra_output),
    "opset": other_opset,
    "node-gone": of_node(ACTIVATIONS, lambda graph, node, _: graph.model.graph.node.remove(node)),
}
"""Name to a fault of a graph."""
