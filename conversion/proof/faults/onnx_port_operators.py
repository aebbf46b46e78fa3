"""Faults around the network in a float ONNX file: the way in and out, ports, metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.onnx_graph import Graph, floats, ints, set_attribute
from conversion.proof.faults.onnx_operators import END, OfGraph, of_node, other_operator

ANOTHER = "5" * 64
"""The digest of a source file that is not the subject's."""


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
}
"""Name to a fault of a graph's ends, or of the file."""
