"""What each input of an ONNX operator is, as its own schema names it."""

import pytest


def places(*words):
    from onnx import helper

    from conversion.backends import onnx_nodes

    return onnx_nodes.places(helper.make_node(*words, ["y"]))


QLINEAR_CONV = ("x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "b")
CONCAT = ("s", "z", "a", "as", "az", "b", "bs", "bz")


@pytest.mark.parametrize(
    ("operator", "positions"),
    [
        ("Conv", (0, 1, 2)),
        ("MatMul", (0, 1)),
        ("QLinearConv", (0, 3, 8)),
        ("QGemm", (0, 3, 6)),
        ("MatMulIntegerToFloat", (0, 1, 6)),
        ("DynamicQuantizeMatMul", (0, 1, 4)),
        ("NoSuchOperator", ()),
    ],
)
def test_values_are_what_is_neither_scale_nor_zero_point(operator, positions):
    from conversion.backends.onnx_nodes import values

    assert values(operator) == positions


def test_every_operator_that_multiplies_has_a_kernel():
    from conversion.backends.onnx_nodes import MULTIPLYING, values

    assert [each for each in MULTIPLYING if len(values(each)) < 2] == []


@pytest.mark.parametrize(
    ("operator", "inputs", "wanted"),
    [
        ("QuantizeLinear", ("x", "s", "z"), [(-1, 1, 2)]),
        ("DequantizeLinear", ("x", "s", "z"), [(0, 1, 2)]),
        ("QLinearConv", QLINEAR_CONV, [(0, 1, 2), (3, 4, 5), (-1, 6, 7)]),
        ("QLinearWhere", ("c", *QLINEAR_CONV[:8]), [(1, 2, 3), (4, 5, 6), (-1, 7, 8)]),
        ("QLinearConcat", CONCAT, [(2, 3, 4), (5, 6, 7), (-1, 0, 1)]),
        ("Conv", ("x", "w", "b"), []),
    ],
)
def test_places_have_value_scale_and_zero_point_with_the_result_last(operator, inputs, wanted):
    assert places(operator, inputs) == wanted


def test_a_result_without_a_scale_of_its_own_has_no_place():
    floating = places("QGemm", ("a", "as", "az", "b", "bs", "bz", "c"))
    assert floating == [(0, 1, 2), (3, 4, 5)]
