"""A LiteRT file as operations, float or int8; its tensors are in the source model's layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from conversion.backends.litert_file import (
    TYPES,
    load,
    operator,
    ports,
    stored,
)
from conversion.core.spec import Spec
from conversion.proof.taps.graph import Graph, Operation, Tensor

MOVES = {
    "RESHAPE": "reshape",
    "SQUEEZE": "reshape",
    "EXPAND_DIMS": "reshape",
    "TRANSPOSE": "transpose",
    "CAST": "cast",
    "QUANTIZE": "quantize",
    "DEQUANTIZE": "dequantize",
    "BATCH_TO_SPACE_ND": "reshape",
    "SPACE_TO_BATCH_ND": "reshape",
    "PACK": "reshape",
    "UNPACK": "reshape",
    "BROADCAST_TO": "reshape",
}
"""Operators that only move or cast elements."""

KINDS = {
    "CONV_2D": "conv",
    "TRANSPOSE_CONV": "conv",
    "DEPTHWISE_CONV_2D": "conv",
    "FULLY_CONNECTED": "dense",
    "BATCH_MATMUL": "dense",
    "RELU": "relu",
    "RELU6": "clip",
    "LEAKY_RELU": "leaky_relu",
    "LOGISTIC": "sigmoid",
    "TANH": "tanh",
    "SOFTMAX": "softmax",
    "LOG_SOFTMAX": "log_softmax",
    "MAX_POOL_2D": "max_pool",
    "AVERAGE_POOL_2D": "average_pool",
    "MEAN": "global_average",
    "REDUCE_MAX": "global_max",
    "CONCATENATION": "concat",
    "PAD": "pad",
    "PADV2": "pad",
    "STRIDED_SLICE": "crop",
    "SLICE": "crop",
    "RESIZE_BILINEAR": "resize",
    "RESIZE_NEAREST_NEIGHBOR": "resize",
    "TILE": "tile",
}

ARITHMETIC = {
    "ADD": ("sum", "shift"),
    "SUB": ("sum", "shift"),
    "MUL": ("product", "scale"),
    "DIV": ("product", "scale"),
    "MAXIMUM": ("maximum", "clip"),
    "MINIMUM": ("minimum", "clip"),
}
"""Operator to its kind between two tensors, and between a tensor and a constant."""

APPLIES = {
    schema.ActivationFunctionType.RELU: ("relu",),
    schema.ActivationFunctionType.RELU6: ("clip",),
    schema.ActivationFunctionType.RELU_N1_TO_1: ("clip",),
    schema.ActivationFunctionType.TANH: ("tanh",),
}
"""Activation that an operator computes in the same step to its kind."""

SELECTS = dict.fromkeys(("SELECT", "SELECT_V2", "MAXIMUM", "MINIMUM"), ("select",))
"""Operators that give one or the other of their operands, each with the result's scale."""

_DTYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
}
_TURNED = {  # operator to the permutation that brings its kernel to the files' common layout
    "CONV_2D": (0, 3, 1, 2),
    "DEPTHWISE_CONV_2D": (3, 0, 1, 2),
    "FULLY_CONNECTED": (1, 0),
    "TRANSPOSE_CONV": (3, 0, 1, 2),
}
_BIAS = {"TRANSPOSE_CONV": 3}  # operator to the position of its bias, where that is not 2


def graph_in(path: Path, spec: Spec) -> Graph:
    """The operations of a LiteRT file of a model."""
    return graph_of(load(path), spec)


def graph_of(model: Any, spec: Spec) -> Graph:
    """The network of a LiteRT file.

    Args:
        model: what `conversion.backends.litert_file.load` gives; operators that are not known
            become the kind ``other``.
        spec: the model that it should be; orders the inputs and outputs.

    Returns:
        Its operations; a tensor's name is its number in the file. A constant that is stored
        quantized keeps its integers, with the scale and zero point beside it.
    """
    return _Reading(model).graph(*ports(model, spec.inputs, spec.outputs))


class _Reading:
    def __init__(self, model: Any) -> None:
        self.model, self.file = model, model.subgraphs[0]
        self.shapes: set[int] = set()  # tensors that are made of shapes and constants alone
        self.constants = {
            index: np.frombuffer(content, _DTYPES[TYPES[each.type]]).reshape(each.shape)
            for index, each in enumerate(self.file.tensors)
            if TYPES[each.type] in _DTYPES and (content := stored(model, each))
        }

    def graph(self, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
        operations = [
            self._operation(each) for each in self.file.operators if not self._of_shapes(each)
        ]
        computed = [*inputs, *(int(operation.writes) for operation in operations)]
        tensors = {str(index): self._tensor(index) for index in computed}
        ends = (tuple(map(str, inputs)), tuple(map(str, outputs)))
        return Graph(tuple(operations), *ends, tensors, folds_forward=True)

    def _of_shapes(self, operation: Any) -> bool:
        """Take in an operation that computes a shape, as those behind a Flatten do."""
        known = {*self.shapes, *self.constants, -1}
        reads = {int(index) for index in operation.inputs}
        if operator(self.model, operation) != "SHAPE" and not reads <= known:
            return False
        self.shapes.update(int(index) for index in operation.outputs)
        return True

    def _operation(self, operation: Any) -> Operation:
        name = operator(self.model, operation)
        known = {*self.shapes, *self.constants, -1}
        inputs = [int(index) for index in operation.inputs]
        varying = [index for index in inputs if index not in known]
        if name in ARITHMETIC:
            kind = ARITHMETIC[name][0 if len(varying) > 1 else 1]
        else:
            kind = MOVES.get(name) or KINDS.get(name, "other")
        fused = getattr(operation.builtinOptions, "fusedActivationFunction", 0)
        output = int(operation.outputs[0])
        return Operation(
            kind,
            tuple(map(str, varying)),
            str(output),
            self._constants(name, kind, inputs),
            (*(APPLIES.get(fused, ()) or self._clamps(output)), *SELECTS.get(name, ())),
            self.file.tensors[output].name.decode(),
            moves=name in MOVES,
        )

    def _constants(self, name: str, kind: str, inputs: Sequence[int]) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        if kind in ("conv", "dense"):
            self._put(found, "kernel", inputs[1])
            bias = _BIAS.get(name, 2)
            if len(inputs) > bias:
                self._put(found, "bias", inputs[bias])
            if "kernel" in found and name in _TURNED:
                found["kernel"] = found["kernel"].transpose(_TURNED[name])
        elif kind in ("scale", "shift"):
            index = next((i for i in inputs if i in self.constants), -1)
            self._put(found, "value", index)
            if "value" not in found:  # computed from shapes
                return found
            if name == "SUB" and inputs[1] == index:
                found["value"] = -found["value"]
            if name == "DIV" and inputs[1] == index:
                found["value"] = 1 / found["value"].astype(np.float64)
        return found

    def _put(self, found: dict[str, np.ndarray], role: str, index: int) -> None:
        if index not in self.constants:
            return
        found[role] = self.constants[index]
        quantized = self.file.tensors[index].quantization
        if quantized is not None and quantized.scale is not None and len(quantized.scale):
            found[f"{role}_scale"] = np.asarray(quantized.scale, np.float32)
            found[f"{role}_zero_point"] = np.asarray(quantized.zeroPoint)

    def _tensor(self, index: int) -> Tensor:
        scale, zero = self._parameters(index)
        return Tensor(str(index), scale, zero)

    def _parameters(self, index: int) -> tuple[float | None, int]:
        quantized = self.file.tensors[index].quantization
        if quantized is None or quantized.scale is None or len(quantized.scale) != 1:
            return None, 0
        return float(quantized.scale[0]), int(quantized.zeroPoint[0])

    def _clamps(self, index: int) -> tuple[str, ...]:
        """Activations that quantization does by itself: nothing below the zero point is stored."""
        scale, zero = self._parameters(index)
        lowest = {"INT8": -128, "UINT8": 0}.get(TYPES[self.file.tensors[index].type])
        return ("relu", "clip") if scale is not None and zero == lowest else ()
