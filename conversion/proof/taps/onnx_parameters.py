"""Scales and zero points of a quantized ONNX graph: every place in it that names one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

PLACES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "QuantizeLinear": ((-1, 1, 2),),
    "DequantizeLinear": ((0, 1, 2),),
    "QLinearConv": ((0, 1, 2), (3, 4, 5), (-1, 6, 7)),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5), (-1, 6, 7)),
    "QGemm": ((0, 1, 2), (3, 4, 5), (-1, 7, 8)),
    "QLinearAdd": ((0, 1, 2), (3, 4, 5), (-1, 6, 7)),
    "QLinearMul": ((0, 1, 2), (3, 4, 5), (-1, 6, 7)),
    "QLinearAveragePool": ((0, 1, 2), (-1, 3, 4)),
    "QLinearGlobalAveragePool": ((0, 1, 2), (-1, 3, 4)),
    "QLinearLeakyRelu": ((0, 1, 2), (-1, 3, 4)),
    "QLinearSigmoid": ((0, 1, 2), (-1, 3, 4)),
    "QLinearSoftmax": ((0, 1, 2), (-1, 3, 4)),
}
"""Operator to positions of value, scale and zero point among its inputs; -1 is its output."""

KERNELS = {
    "Conv": 1,
    "ConvTranspose": 1,
    "Gemm": 1,
    "MatMul": 1,
    "QLinearConv": 3,
    "QLinearMatMul": 3,
    "QGemm": 3,
}
"""Operator to the position of its kernel."""

BIASES = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "QLinearConv": 8, "QGemm": 6}
"""Operator to the position of its bias."""


@dataclass(frozen=True)
class Slot:
    """A place in a graph that names a scale and a zero point.

    Attributes:
        value: the tensor or constant whose they are.
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
        self.constants: dict[str, np.ndarray] = {
            t.name: numpy_helper.to_array(t) for t in model.graph.initializer
        }
        for node in model.graph.node:
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if node.op_type == "Constant" and value is not None:
                self.constants[node.output[0]] = numpy_helper.to_array(value)
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
        return self._at(output, KERNELS)

    def bias(self, output: str) -> Stored | None:
        """The bias of the node that gives a tensor."""
        return self._at(output, BIASES)

    def value(self, output: str) -> Stored | None:
        """The one constant that a node adds or multiplies, where it is no kernel or bias."""
        node = self.nodes.get(output)
        if node is None:
            return None
        places = PLACES.get(node.op_type)
        inputs = node.input if places is None else [node.input[p[0]] for p in places if p[0] >= 0]
        found = [self._stored(node, name) for name in inputs]
        return next((each for each in found if each is not None), None)

    def values(self, output: str) -> list[Stored | None]:
        """What a node computes with, in its order: constants, and None for what varies."""
        node = self.nodes[output]
        return [self._stored(node, name) for name in self.reads(output)]

    def reads(self, output: str) -> list[str]:
        """What a node computes with, in its order, without scales and zero points."""
        node = self.nodes[output]
        if node.op_type == "QLinearConcat":
            return list(node.input[2::3])
        places = PLACES.get(node.op_type)
        return [node.input[p[0]] for p in places if p[0] >= 0] if places else list(node.input)

    def real(self, role: str, output: str) -> np.ndarray | None:
        """A constant of a float node: its ``kernel``, ``bias`` or ``value``."""
        roles = {"kernel": self.kernel, "bias": self.bias, "value": self.value}
        stored = roles[role](output)
        return None if stored is None else self.constants[stored.name]

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
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        return 0 if turned else 1

    def _at(self, output: str, positions: dict[str, int]) -> Stored | None:
        node = self.nodes.get(output)
        index = None if node is None else positions.get(node.op_type)
        if node is None or index is None or len(node.input) <= index:
            return None
        return self._stored(node, node.input[index])

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
        if node.op_type == "QLinearConcat":
            yield _slot(node, (-1, 0, 1))
            for start in range(2, len(node.input) - 2, 3):
                yield _slot(node, (start, start + 1, start + 2))
        for places in PLACES.get(node.op_type, ()):
            if places[1] < len(node.input) and node.input[places[1]]:
                yield _slot(node, places)


def _slot(node: NodeProto, places: Sequence[int]) -> Slot:
    value, scale, zero = places
    name = node.input[zero] if zero < len(node.input) else ""
    axis = None
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        axis = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "axis"), 1)
    made = node.output[0] if value < 0 else node.input[value]
    return Slot(made, node.input[scale], name, axis, node.output[0], value < 0)


_INTEGERS = tuple(np.dtype(name) for name in ("int8", "uint8"))
