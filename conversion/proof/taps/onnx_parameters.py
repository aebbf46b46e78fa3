"""Scales and zero points of a quantized ONNX graph: every place in it that names one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto

from conversion.backends.onnx_nodes import (
    MULTIPLYING,
    RESULT,
    Place,
    attributes,
    constants,
    places,
    values,
)


@dataclass(frozen=True)
class Slot:
    """A place in a graph that names a scale and a zero point.

    Attributes:
        value: the tensor or constant that they quantize.
        scale: the scale's name.
        zero: the zero point's name; empty where there is none.
        axis: of the channels, where the operator has one.
        node: the output of the node that names them.
        writes: whether the node makes the value, not reads it.
    """

    value: str
    scale: str
    zero: str
    axis: int | None
    node: str
    writes: bool


@dataclass(frozen=True)
class Stored:
    """A constant of a node, looked up through whatever dequantizes it.

    Attributes:
        name: the constant's name.
        slot: scale and zero point; None where it is stored as it is.
    """

    name: str
    slot: Slot | None


class Parameters:
    """The scales, zero points and constants of a graph, by place."""

    def __init__(self, model: ModelProto) -> None:
        self.constants = constants(model)
        self.nodes = {name: node for node in model.graph.node for name in node.output}
        self.slots = [slot for node in model.graph.node for slot in self._slots(node)]

    def steps(self, slot: Slot) -> tuple[np.ndarray, np.ndarray] | None:
        """Scale and zero point; None where they are no constants."""
        scale = self.constants.get(slot.scale)
        if scale is None:
            return None
        if not slot.zero:
            value = self.constants.get(slot.value)
            return scale, np.zeros_like(scale, np.uint8 if value is None else value.dtype)
        zero = self.constants.get(slot.zero)
        return None if zero is None else (scale, zero)

    def kernel(self, output: str) -> Stored | None:
        """The kernel of the node that gives a tensor."""
        return self._at(output, 1)

    def bias(self, output: str) -> Stored | None:
        """The bias of the node that gives a tensor."""
        return self._at(output, 2)

    def values(self, output: str) -> list[Stored | None]:
        """What a node computes with, in its order: constants, and None for what varies."""
        node = self.nodes[output]
        return [self._stored(node, name) for name in self.reads(output)]

    def reads(self, output: str) -> list[str]:
        """What a node computes with, in its order, without scales and zero points."""
        node = self.nodes[output]
        found = [value for value, *_ in places(node) if value != RESULT]
        return [node.input[value] for value in found] if found else list(node.input)

    def unvisited(self, visited: Collection[str]) -> list[str]:
        """Scales, zero points and stored integers whose names are not among those visited."""
        named = [name for slot in self.slots for name in (slot.scale, slot.zero) if name]
        stored = [n for n, a in self.constants.items() if a.dtype in _INTEGERS]
        stored += [slot.value for slot in self.slots if slot.value in self.constants]
        stored += [s.name for s in map(self.bias, self.nodes) if s is not None]
        return [name for name in dict.fromkeys([*named, *stored]) if name not in visited]

    def channel_axis(self, output: str) -> int:
        """The axis of output channels of a node's kernel, as it is stored."""
        node = self.nodes[output]
        if "Conv" in node.op_type:
            return 1 if node.op_type == "ConvTranspose" else 0
        return 0 if attributes(node).get("transB") else 1

    def _at(self, output: str, rank: int) -> Stored | None:
        """What a node that multiplies by a kernel has as its value of that rank."""
        node = self.nodes.get(output)
        if node is None or node.op_type not in MULTIPLYING:
            return None
        given = [node.input[i] for i in values(node.op_type) if i < len(node.input)]
        return self._stored(node, given[rank]) if rank < len(given) else None

    def _stored(self, node: NodeProto, name: str) -> Stored | None:
        if name in self.constants:
            own = (s for s in self.slots if s.node == node.output[0] and s.value == name)
            return Stored(name, next(own, None))
        before = self.nodes.get(name)
        if before is None or before.op_type != "DequantizeLinear":
            return None
        inner = before.input[0]
        slot = next(self._slots(before))
        return Stored(inner, slot) if inner in self.constants else None

    def _slots(self, node: NodeProto) -> Iterator[Slot]:
        for place in places(node):
            yield _slot(node, place)


def _slot(node: NodeProto, place: Place) -> Slot:
    value, scale, zero = place
    name = node.input[zero] if zero < len(node.input) else ""
    axis = None
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        axis = attributes(node).get("axis", 1)
    writes = value == RESULT
    made = node.output[0] if writes else node.input[value]
    return Slot(made, node.input[scale], name, axis, node.output[0], writes)


_INTEGERS = tuple(np.dtype(name) for name in ("int8", "uint8"))
