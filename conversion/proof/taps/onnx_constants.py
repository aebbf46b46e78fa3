"""The arrays that an ONNX file stores, as its operators read them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from conversion.backends.onnx_nodes import (
    RESULT,
    attributes,
    is_value,
    names_of,
    places,
    zero_point_of,
)
from conversion.proof.metrics.int8 import Steps
from conversion.proof.taps.network import Constant

CASTS = ("QuantizeLinear", "DequantizeLinear")
"""Operators between integers and real numbers."""


class Constants:
    """The arrays of a graph that depend on no input, by name.

    Besides initializers these are the results of nodes that compute from constants alone. What a
    DequantizeLinear gives of a constant is that constant, with its scale and zero point beside it.
    """

    def __init__(self, model: ModelProto) -> None:
        self._known = {each.name: _of_tensor(each) for each in model.graph.initializer}
        for node in model.graph.node:
            self._take(node)

    def value(self, name: str) -> np.ndarray | None:
        """An array as it is stored; None where the name is none's."""
        found = self._known.get(name)
        return None if found is None else found.stored()

    def read_by(self, node: NodeProto, computed: Collection[str]) -> tuple[Constant, ...]:
        """The arrays that a node computes with, without scales and zero points.

        Args:
            node: any node.
            computed: tensors that depend on an input.
        """
        scaled = {value: pair for value, *pair in places(node)}
        found = []
        for index, name in enumerate(node.input):
            known = self._known.get(name)
            if known is None or name in computed or not is_value(node.op_type, index):
                continue
            steps = known.steps
            if index in scaled:
                steps = self._steps(node, *scaled[index])
            elif (zero := zero_point_of(node.op_type, index)) is not None:
                steps = self._counted_from(node, zero)
            axis = self._axis(node, index, known, steps)
            role = names_of(node.op_type, index)
            each = Constant(known.name, role, known.stored, known.shape, steps, axis)
            turned = index == 1 and node.op_type.endswith("Gemm") and attributes(node).get("transB")
            found.append(_turned(each) if turned else each)
        if node.op_type == "BatchNormalization":
            epsilon = np.float32(attributes(node).get("epsilon", 1e-5))
            found.append(Constant("", "epsilon", partial(np.asarray, epsilon), ()))
        return tuple(found)

    def steps_of_result(self, node: NodeProto) -> Steps | None:
        """Scale and zero point of what a node gives; None where it gives real numbers."""
        found = (self._steps(node, *pair) for value, *pair in places(node) if value == RESULT)
        return next(found, None)

    def steps_of_read(self, node: NodeProto, computed: Collection[str]) -> dict[str, Steps]:
        """Scale and zero point of every tensor that a node reads as integers.

        Args:
            node: any node.
            computed: tensors that depend on an input.
        """
        given = {node.input[value]: pair for value, *pair in places(node) if value != RESULT}
        found = {name: self._steps(node, *pair) for name, pair in given.items() if name in computed}
        return {name: steps for name, steps in found.items() if steps is not None}

    def _take(self, node: NodeProto) -> None:
        """Take in a node that computes from constants alone."""
        given = [name for name in node.input if name]
        if node.op_type == "Constant" and "value" in (chosen := attributes(node)):
            self._known[node.output[0]] = _of_tensor(chosen["value"], node.output[0])
        elif given and all(name in self._known for name in given) and len(node.output) == 1:
            first = self._known[given[0]]
            if node.op_type == "DequantizeLinear":
                steps = self._steps(node, 1, 2)
                axis = self._axis(node, 0, first, steps)
                found = Constant(first.name, "", first.stored, first.shape, steps, axis)
                self._known[node.output[0]] = found
            elif not node.domain and node.op_type not in CASTS:
                arrays = [self._known[name] for name in given]
                value = _computed(node, [each.real() for each in arrays])
                self._known[node.output[0]] = Constant(
                    node.output[0], "", partial(np.asarray, value), value.shape
                )

    def _counted_from(self, node: NodeProto, zero: int) -> Steps | None:
        """Of integers whose scale another node multiplies by: only where they are counted from."""
        point = self.value(node.input[zero]) if zero < len(node.input) else None
        return None if point is None else Steps(np.ones(point.shape, np.float32), point)

    def _steps(self, node: NodeProto, scale: int, zero: int) -> Steps | None:
        found = self.value(node.input[scale])
        if found is None:
            return None
        point = self.value(node.input[zero]) if zero < len(node.input) else None
        if point is not None:
            return Steps(found, point)
        value = self.value(node.input[0]) if node.op_type == "DequantizeLinear" else None
        dtype = np.dtype(np.uint8) if value is None else value.dtype
        return Steps(found, np.zeros(found.shape, dtype))

    def _axis(self, node: NodeProto, index: int, known: Constant, steps: Steps | None) -> int:
        """The axis along which a constant has scales, counted from its start."""
        rank = len(known.shape)
        if node.op_type == "DequantizeLinear":
            axis = int(attributes(node).get("axis", 1))
            return axis % rank if -rank <= axis < rank else 0
        if steps is None or steps is known.steps:
            return known.axis
        return 0 if "Conv" in node.op_type else rank - 1


def _turned(each: Constant) -> Constant:
    """A matrix that its operator reads as its transpose, as it is meant."""
    return replace(
        each, stored=lambda: each.stored().T, shape=each.shape[::-1], axis=1 - min(each.axis, 1)
    )


def _of_tensor(tensor: TensorProto, name: str = "") -> Constant:
    stored: Callable[[], np.ndarray] = partial(numpy_helper.to_array, tensor)
    return Constant(name or tensor.name, "", stored, tuple(tensor.dims))


def _computed(node: NodeProto, given: list[np.ndarray]) -> np.ndarray:
    found = ReferenceEvaluator(node).run(
        None, dict(zip(filter(None, node.input), given, strict=True))
    )
    return np.asarray(found[0])  # type: ignore[index]
