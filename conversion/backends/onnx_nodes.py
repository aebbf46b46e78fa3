"""What an ONNX node has: constants, attributes, and by its schema which input is what."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper, shape_inference
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

INTEGER = (
    *("QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger"),
    *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
)
"""Operators that multiply integers by a kernel."""

MULTIPLYING = (
    *("Conv", "FusedConv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm", "FusedGemm"),
    *INTEGER,
)
"""Operators that multiply by a kernel: the second of their `values`, and the third is a bias."""

RESULT = -1
"""The position of a node's first output in a `Place`."""

Place = tuple[int, int, int]
"""Positions of a value, its scale and its zero point among a node's inputs."""


def constants(model: ModelProto) -> dict[str, np.ndarray]:
    """Initializers, and what nodes of the operator Constant give, by name."""
    found = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and "value" in (chosen := attributes(node)):
            found[node.output[0]] = numpy_helper.to_array(chosen["value"])
    return found


def shapes(model: ModelProto, followed: bool = True) -> dict[str, list[int]]:
    """Sizes of tensors as far as they can be inferred, by name; 0 where one is not known.

    Args:
        model: any.
        followed: whether values are followed too: sizes that are computed, as of a Reshape.
    """
    inferred = shape_inference.infer_shapes(model, data_prop=followed).graph
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input)
    }


def attributes(node: NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def state(node: NodeProto, chosen: Mapping[str, Any], without: Collection[str] = ()) -> None:
    """Give a node attributes, in place.

    Args:
        node: any.
        chosen: name to value.
        without: names of those that it is to have no more.
    """
    kept = [each for each in node.attribute if each.name not in (*chosen, *without)]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.extend(helper.make_attribute(*each) for each in chosen.items())


@cache
def values(operator: str) -> tuple[int, ...]:
    """Positions of what an operator computes with, in order; scales and zero points are none.

    Args:
        operator: its name in ONNX or, where that has none of the name, in ONNX Runtime.
    """
    return tuple(i for i, name in enumerate(_schema(operator)[0]) if not name.endswith(_BESIDE))


def names_of(operator: str, index: int) -> str:
    """What an operator's schema calls one of its inputs; empty where it has no such input."""
    names = _schema(operator)[0]
    return names[index] if index < len(names) else ""


def is_value(operator: str, index: int) -> bool:
    """Whether an input is something to compute with, not a scale or a zero point."""
    return not names_of(operator, index).endswith(_BESIDE)


def zero_point_of(operator: str, index: int) -> int | None:
    """The position of an input's zero point, of an operator that takes no scale beside it."""
    names, name = _schema(operator)[0], names_of(operator, index)
    zero = f"{name}_zero_point"
    return names.index(zero) if zero in names and f"{name}_scale" not in names else None


def places(node: NodeProto) -> list[Place]:
    """Every value of a node that has a scale there, in the schema's order, the result last."""
    found, count = list(_places(node.op_type)), len(node.input)
    if node.op_type == "QLinearConcat":  # the one that takes any number of values
        found[:0] = [(start, start + 1, start + 2) for start in range(2, count - 2, 3)]
    return [each for each in found if each[1] < count and node.input[each[1]]]


@cache
def _places(operator: str) -> tuple[Place, ...]:
    names, result = _schema(operator)
    found = []
    for value, name in (*enumerate(names), (RESULT, result)):
        if f"{name}_scale" in names:
            zero = f"{name}_zero_point"
            place = names.index(f"{name}_scale"), names.index(zero) if zero in names else len(names)
            found.append((value, *place))
    return tuple(found)


@cache
def _schema(operator: str) -> tuple[list[str], str]:
    """Names of the inputs and of the first output, in lower case: schemas mix both."""
    known = [each for each in get_all_operator_schema() if each.name == operator]
    if not known:
        return [], ""
    latest = max(known, key=lambda each: (each.domain == "", each.since_version))
    names = [each.name.lower() for each in latest.inputs]
    return names, latest.outputs[0].name.lower() if latest.outputs else ""


_BESIDE = ("_scale", "_zero_point")
