"""An ONNX graph as operations: float, QDQ and QOperator files become the same kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from conversion.backends import onnx_file
from conversion.backends.onnx_nodes import RESULT, attributes, places, values
from conversion.core.spec import Spec
from conversion.proof.taps.graph import Graph, Operation, Tensor

MOVES = {
    "Transpose": "transpose",
    "Reshape": "reshape",
    "Flatten": "reshape",
    "Squeeze": "reshape",
    "Unsqueeze": "reshape",
    "Cast": "cast",
    "Identity": "identity",
    "Dropout": "identity",
    "QuantizeLinear": "quantize",
    "DequantizeLinear": "dequantize",
}
"""Operators that only move or cast elements."""

KINDS = {
    "Conv": "conv",
    "ConvTranspose": "conv",
    "QLinearConv": "conv",
    "MatMul": "dense",
    "Gemm": "dense",
    "QLinearMatMul": "dense",
    "QGemm": "dense",
    "BatchNormalization": "norm",
    "Relu": "relu",
    "Clip": "clip",
    "LeakyRelu": "leaky_relu",
    "QLinearLeakyRelu": "leaky_relu",
    "Sigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softmax": "softmax",
    "QLinearSoftmax": "softmax",
    "LogSoftmax": "log_softmax",
    "MaxPool": "max_pool",
    "AveragePool": "average_pool",
    "QLinearAveragePool": "average_pool",
    "GlobalAveragePool": "global_average",
    "QLinearGlobalAveragePool": "global_average",
    "GlobalMaxPool": "global_max",
    "ReduceMean": "global_average",
    "ReduceMax": "global_max",
    "Concat": "concat",
    "QLinearConcat": "concat",
    "Pad": "pad",
    "Slice": "crop",
    "Resize": "resize",
    "Tile": "tile",
}

ARITHMETIC = {
    "Add": ("sum", "shift"),
    "Sub": ("sum", "shift"),
    "QLinearAdd": ("sum", "shift"),
    "Mul": ("product", "scale"),
    "Div": ("product", "scale"),
    "QLinearMul": ("product", "scale"),
    "Max": ("maximum", "clip"),
    "Min": ("minimum", "clip"),
}
"""Operator to its kind between two tensors, and between a tensor and a constant."""

KEEPING = ("max_pool", "pad", "crop", "tile", "resize")
"""Kinds that take the integers of a quantized tensor and give them on with its scale."""


def graph_in(path: Path, spec: Spec) -> Graph:
    """The operations of an ONNX file, whatever the model."""
    return graph_of(onnx_file.load(path))


def graph_of(model: ModelProto) -> Graph:
    """The network of an ONNX file.

    Args:
        model: any ONNX model; operators that are not known become the kind ``other``.

    Returns:
        Its operations. A constant that is stored quantized keeps its integers, with the scale and
        zero point beside it.
    """
    return _Reading(model).graph()


class _Reading:
    def __init__(self, model: ModelProto) -> None:
        self.model = model
        graph = model.graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.stored: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self.shapes: set[str] = set()  # tensors that are made of shapes alone
        self.inputs = [v.name for v in graph.input if v.name not in self.constants]
        self.tensors = {name: Tensor(name) for name in self.inputs}
        self.operations: list[Operation] = []
        self.quantized = {  # tensor to the node that quantizes it
            node.input[0]: node for node in graph.node if node.op_type == "QuantizeLinear"
        }

    def graph(self) -> Graph:
        for node in self.model.graph.node:
            if not self._is_constant(node):
                self.operations.append(self._operation(node))
                self._further_outputs(node)
        outputs = tuple(value.name for value in self.model.graph.output)
        return Graph(tuple(self.operations), tuple(self.inputs), outputs, self.tensors)

    def _further_outputs(self, node: NodeProto) -> None:
        """What a node gives beside its first output, each as an operation of its own."""
        first = self.operations[-1]
        for name in filter(None, node.output[1:]):
            if any(name in each.input for each in self.model.graph.node):
                self.operations.append(replace(first, writes=name))
                self.tensors[name] = replace(self.tensors[first.writes], name=name)

    def _is_constant(self, node: NodeProto) -> bool:
        """Take in a node that only makes a constant."""
        name = node.output[0]
        if node.op_type == "Constant":
            value = attributes(node).get("value")
            if value is not None:
                self.constants[name] = numpy_helper.to_array(value)
            return value is not None
        known = {*self.shapes, *self.constants, ""}
        if node.op_type == "Shape" or (
            self.shapes & set(node.input) and all(i in known for i in node.input)
        ):
            self.shapes.update(node.output)
            return True
        if not node.input or any(i and i not in self.constants for i in node.input):
            return False
        if node.op_type == "DequantizeLinear":
            integers, scale, *zero = (self.constants[i] for i in node.input if i)
            point = zero[0] if zero else np.zeros_like(integers, shape=scale.shape)
            self.stored[name] = (integers, scale, point)
            self.constants[name] = integers
            return True
        if node.domain or node.op_type == "QuantizeLinear" or len(node.output) != 1:
            return False
        fed = {i: self.constants[i] for i in node.input if i}
        found: Any = ReferenceEvaluator(node).run(None, fed)
        self.constants[name] = np.asarray(found[0])
        return True

    def _operation(self, node: NodeProto) -> Operation:
        known = (*self.constants, *self.shapes)
        varying = tuple(i for i in node.input if i and i not in known)
        kind, moves = self._kind(node, varying)
        constants = self._constants(node, kind)
        output = node.output[0]
        scale, zero = given = self._of_result(node)
        keeps = kind in KEEPING or (moves and kind not in ("dequantize", "quantize"))
        if scale is None and keeps and varying:
            before = self.tensors.get(varying[0])
            if before is not None and before.scale is not None:
                scale, zero = np.float64(before.scale), np.int64(before.zero_point)
        self.tensors[output] = Tensor(
            output,
            None if scale is None or np.size(scale) != 1 else float(np.asarray(scale).item()),
            0 if zero is None or np.size(zero) != 1 else int(np.asarray(zero).item()),
        )
        if kind in KEEPING:  # they are another operation's
            scale, zero = given
        if scale is None and output in self.quantized:  # a float tensor that is quantized next
            scale, zero = self._of_result(self.quantized[output])
        applies = _clamps(zero) if scale is not None and not moves else ()
        return Operation(kind, varying, output, constants, applies, node.name or output, moves)

    def _kind(self, node: NodeProto, varying: Sequence[str]) -> tuple[str, bool]:
        if node.op_type in MOVES:
            return MOVES[node.op_type], True
        if node.op_type in ARITHMETIC:
            between, with_constant = ARITHMETIC[node.op_type]
            return (between if len(varying) > 1 else with_constant), False
        return KINDS.get(node.op_type, "other"), False

    def _constants(self, node: NodeProto, kind: str) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        if node.op_type in ("QLinearConv", "QLinearMatMul", "QGemm"):
            self._quantized_kernel(node, found)
        elif kind in ("conv", "dense"):
            self._put(found, "kernel", node.input[1])
            if len(node.input) > 2 and node.input[2]:
                self._put(found, "bias", node.input[2])
        elif kind == "norm":
            for role, name in zip(_NORM, node.input[1:], strict=True):
                self._put(found, role, name)
            found["epsilon"] = np.array(attributes(node).get("epsilon", 1e-5), dtype=np.float32)
        elif kind in ("scale", "shift") and not places(node):
            index = next((i for i, name in enumerate(node.input) if name in self.constants), None)
            if index is not None:
                self._put(found, "value", node.input[index])
                if node.op_type in _INVERSE and index and "value" in found:
                    found["value"] = _INVERSE[node.op_type](found["value"])
        if kind == "dense" and attributes(node).get("transB", 0):
            found["kernel"] = found["kernel"].T
        return found

    def _quantized_kernel(self, node: NodeProto, found: dict[str, np.ndarray]) -> None:
        for role, index in zip(_KERNEL, places(node)[1], strict=True):
            if node.input[index] in self.constants:
                found[role] = self.constants[node.input[index]]
        for index in values(node.op_type)[2:]:
            if index < len(node.input) and node.input[index]:
                found["bias"] = self.constants[node.input[index]]

    def _of_result(self, node: NodeProto) -> tuple[Any, Any]:
        """Scale and zero point of what a node gives; without any, None."""
        for value, *pair in places(node):
            if value == RESULT:
                scale, zero = (node.input[i] if i < len(node.input) else "" for i in pair)
                return self.constants.get(scale), self.constants.get(zero, np.int64(0))
        return None, None

    def _put(self, found: dict[str, np.ndarray], role: str, name: str) -> None:
        """A constant under its role, with scale and zero point where it is stored quantized."""
        if name not in self.constants:
            return
        found[role] = self.constants[name]
        if name in self.stored:
            _, found[f"{role}_scale"], found[f"{role}_zero_point"] = self.stored[name]


_NORM = ("gamma", "beta", "mean", "variance")
_KERNEL = ("kernel", "kernel_scale", "kernel_zero_point")

_INVERSE = {"Sub": lambda value: -value, "Div": lambda value: 1 / value.astype(np.float64)}
"""Operator to what it makes of its second input: a shift adds its value, a scale multiplies it."""


def _clamps(zero: Any) -> tuple[str, ...]:
    """Activations that quantization does by itself: nothing below the zero point is stored."""
    point = np.asarray(zero)
    lowest = np.iinfo(point.dtype).min if point.dtype.kind in "iu" else None
    whole = point.size == 1 and lowest is not None and int(point.item()) == lowest
    return ("relu", "clip") if whole else ()
