"""An ONNX graph as operations: float, QDQ and QOperator files become the same kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

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

_QUANTIZED: dict[
    str, dict[str, Any]
] = {  # positions of reads, of what belongs to them, of weights and of the output
    "QLinearConv": {"read": (0, 1, 2), "kernel": (3, 4, 5), "out": (6, 7), "bias": 8},
    "QLinearMatMul": {"read": (0, 1, 2), "kernel": (3, 4, 5), "out": (6, 7)},
    "QGemm": {"read": (0, 1, 2), "kernel": (3, 4, 5), "bias": 6, "out": (7, 8)},
    "QLinearAdd": {"read": (0, 1, 2), "second": (3, 4, 5), "out": (6, 7)},
    "QLinearMul": {"read": (0, 1, 2), "second": (3, 4, 5), "out": (6, 7)},
    "QLinearAveragePool": {"read": (0, 1, 2), "out": (3, 4)},
    "QLinearGlobalAveragePool": {"read": (0, 1, 2), "out": (3, 4)},
    "QLinearLeakyRelu": {"read": (0, 1, 2), "out": (3, 4)},
    "QLinearSigmoid": {"read": (0, 1, 2), "out": (3, 4)},
    "QLinearSoftmax": {"read": (0, 1, 2), "out": (3, 4)},
    "QLinearConcat": {"out": (0, 1)},
}
"""Where the operators of ONNX Runtime's QOperator format keep things (its contrib operators)."""


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
            value = next((a.t for a in node.attribute if a.name == "value"), None)
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
        scale: Any = constants.get("scale_out")
        zero: Any = constants.get("zero_point_out")
        if node.op_type == "QuantizeLinear":
            scale, zero = self._scalars(node.input[1:3])
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
            scale, zero = constants.get("scale_out"), constants.get("zero_point_out")
        scale, zero = self._output_parameters(output, scale, zero)
        if scale is not None and not moves:
            constants = {**constants, "scale": scale, "zero_point": zero}
        constants = {k: v for k, v in constants.items() if not k.endswith("_out")}
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
        places = _QUANTIZED.get(node.op_type)
        if places is not None:
            self._quantized_constants(node, places, found)
        elif kind in ("conv", "dense"):
            self._put(found, "kernel", node.input[1])
            if len(node.input) > 2 and node.input[2]:
                self._put(found, "bias", node.input[2])
        elif kind == "norm":
            for role, name in zip(
                ("gamma", "beta", "mean", "variance"), node.input[1:], strict=True
            ):
                self._put(found, role, name)
            found["epsilon"] = np.array(_attribute(node, "epsilon", 1e-5), dtype=np.float32)
        elif kind in ("scale", "shift"):
            index = next((i for i, name in enumerate(node.input) if name in self.constants), None)
            if index is not None:
                self._put(found, "value", node.input[index])
                if node.op_type in _INVERSE and index and "value" in found:
                    found["value"] = _INVERSE[node.op_type](found["value"])
        if kind == "dense" and _attribute(node, "transB", 0):
            found["kernel"] = found["kernel"].T
        if places is None and node.input:
            source = self.tensors.get(node.input[0])
            before = self._quantized_source(node.input[0]) or source
            if before is not None and before.scale is not None:
                found["read_scale"] = np.array(before.scale, dtype=np.float32)
                found["read_zero_point"] = np.array(before.zero_point)
        return found

    def _quantized_source(self, name: str) -> Tensor | None:
        """What a dequantized tensor was before."""
        writer = next((o for o in reversed(self.operations) if o.writes == name), None)
        if writer is not None and writer.kind == "dequantize":
            return self.tensors.get(writer.reads[0])
        return None

    def _quantized_constants(
        self, node: NodeProto, places: Mapping[str, Any], found: dict[str, np.ndarray]
    ) -> None:
        for role, prefix in (("read", "read"), ("second", "second_read")):
            if role in places:
                scale, zero = (node.input[i] for i in places[role][1:])
                found[f"{prefix}_scale"], found[f"{prefix}_zero_point"] = self._scalars(
                    (scale, zero)
                )
        if "kernel" in places:
            values = [node.input[i] for i in places["kernel"]]
            for role, name in zip(
                ("kernel", "kernel_scale", "kernel_zero_point"), values, strict=True
            ):
                if name in self.constants:
                    found[role] = self.constants[name]
        bias = places.get("bias")
        if bias is not None and len(node.input) > bias and node.input[bias]:
            found["bias"] = self.constants[node.input[bias]]
        scale, zero = (node.input[i] if i < len(node.input) else "" for i in places["out"])
        if scale:
            found["scale_out"], found["zero_point_out"] = self._scalars((scale, zero))

    def _put(self, found: dict[str, np.ndarray], role: str, name: str) -> None:
        """A constant under its role, with scale and zero point where it is stored quantized."""
        if name not in self.constants:
            return
        found[role] = self.constants[name]
        if name in self.stored:
            _, found[f"{role}_scale"], found[f"{role}_zero_point"] = self.stored[name]

    def _scalars(self, names: Sequence[str]) -> tuple[Any, Any]:
        scale, zero = (*names, "", "")[:2]
        point = self.constants.get(zero)
        return self.constants.get(scale), np.int64(0) if point is None else point

    def _output_parameters(self, output: str, scale: Any, zero: Any) -> tuple[Any, Any]:
        """Scale and zero point of a float tensor that is quantized next."""
        if scale is None and output in self.quantized:
            return self._scalars(self.quantized[output].input[1:3])
        return scale, zero


_INVERSE = {"Sub": lambda value: -value, "Div": lambda value: 1 / value.astype(np.float64)}
"""Operator to what it makes of its second input: a shift adds its value, a scale multiplies it."""


def _clamps(zero: Any) -> tuple[str, ...]:
    """Activations that quantization does by itself: nothing below the zero point is stored."""
    point = np.asarray(zero)
    lowest = np.iinfo(point.dtype).min if point.dtype.kind in "iu" else None
    whole = point.size == 1 and lowest is not None and int(point.item()) == lowest
    return ("relu", "clip") if whole else ()


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)
