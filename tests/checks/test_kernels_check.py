"""The share of multiply-accumulates in integers: what counts, what is named, what fails."""

import pytest

from conversion.core.measurement import Verdict
from conversion.core.quantity import About
from conversion.proof.metrics.kernels import Step, integer_share
from conversion.proof.metrics.limits import INTEGER, INTEGER_EXTERNAL

ABOUT = About("it", "onnx-int8")


def conv(layer, macs, integer, seconds=1.0):
    kind = "QLinearConv" if integer else "Conv"
    return Step(f"node of {layer}", kind, layer, macs, integer, True, seconds)


def cast(kind="QuantizeLinear"):
    return Step(kind, kind, "", 0, kind == "QuantizeLinear", False, 0.5)


def share(*steps, limit=INTEGER, **left):
    (found,) = integer_share(ABOUT, steps, limit, 50, **left)
    return found


def test_all_in_integers_passes():
    found = share(cast(), conv("a", 30, True), conv("b", 70, True), cast("DequantizeLinear"))
    assert (found.verdict, found.value, found.limit) == (Verdict.PASS, 100.0, 100.0)
    assert "no float operator that multiplies" in found.reason
    assert "2 casts" in found.reason


def test_one_layer_in_float_fails_and_is_named():
    found = share(conv("a", 30, True), conv("b", 70, False), conv("c", 100, False))
    assert (found.verdict, found.layer, found.value) == (Verdict.FAIL, "b", 15.0)
    assert "Conv 'node of b' of b, of 2" in found.reason


def test_what_the_scheme_leaves_in_float_by_choice_may_stay():
    steps = (conv("a", 1, False), conv("b", 2, True))
    assert share(*steps).verdict is Verdict.FAIL
    assert share(*steps, left={"a": "by choice"}, share_left=100 / 3).verdict is Verdict.PASS


def test_a_runtime_that_quantizes_what_the_file_leaves_in_float_is_told_of():
    found = share(conv("a", 1, True), left={"a": "by choice"}, share_left=100.0)
    assert "the runtime quantizes a, which the file leaves in float" in found.reason


@pytest.mark.parametrize(("integers", "verdict"), [(50, Verdict.PASS), (49, Verdict.FAIL)])
def test_a_file_made_elsewhere_may_have_half_in_float(integers, verdict):
    steps = (conv("a", integers, True), conv("b", 100 - integers, False))
    assert share(*steps, limit=INTEGER_EXTERNAL).verdict is verdict


def test_one_that_may_be_in_float_does_not_make_up_for_one_that_may_not():
    left = {"left": {"a": "no kernel"}, "share_left": 50.0}
    found = share(conv("a", 50, True), conv("b", 50, False), **left)
    assert (found.verdict, found.layer, found.value) == (Verdict.FAIL, "b", 50.0)
    assert share(conv("a", 50, False), conv("b", 50, True), **left).verdict is Verdict.PASS


def test_the_first_layer_that_may_not_be_in_float_is_named():
    left = {"left": {"a": "no kernel"}, "share_left": 25.0}
    found = share(conv("a", 25, False), conv("b", 25, True), conv("c", 50, False), **left)
    assert (found.verdict, found.layer) == (Verdict.FAIL, "c")


NONE = "no layer of this model has an integer kernel in onnx-int8: this is no int8 artifact; "


@pytest.mark.parametrize(
    ("steps", "left", "sentence"),
    [
        ([cast()], {}, "nothing of what is run multiplies: this is no int8 artifact; "),
        (
            [conv("a", 1, False)],
            {},
            "nothing is multiplied in integers: this is no int8 artifact; ",
        ),
        ([conv("a", 1, False)], {"left": {"a": "no kernel"}, "share_left": 100.0}, NONE),
        (
            [conv("a", 1, False), conv("b", 2, False)],
            {"left": {"a": "none", "b": "none"}, "share_left": 100 / 3 + 200 / 3},
            NONE,
        ),
        (
            [conv("a", 99, False), conv("b", 1, False)],
            {"left": {"a": "no kernel"}, "share_left": 99.0},
            "nothing is multiplied in integers: this is no int8 artifact; ",
        ),
    ],
    ids=["nothing multiplies", "all in float", "one left", "two left", "one left of two"],
)
@pytest.mark.parametrize("limit", [INTEGER, INTEGER_EXTERNAL], ids=["ours", "elsewhere"])
def test_a_file_that_multiplies_nothing_in_integers_is_no_int8(steps, left, sentence, limit):
    found = share(*steps, limit=limit, **left)
    assert (found.verdict, found.value, found.limit) == (Verdict.FAIL, 0.0, limit.value)
    assert found.reason.startswith(sentence)


def test_float_work_without_multiplications_is_told_of_and_does_not_fail():
    softmax = Step("the end", "Softmax", "", 0, False, True, 0.1)
    found = share(conv("a", 10, True), softmax)
    assert found.verdict is Verdict.PASS
    assert "the first float operator that computes is Softmax 'the end'" in found.reason


def test_the_slowest_steps_come_first_with_their_share_of_the_time():
    found = share(conv("a", 1, True, 1.0), conv("b", 1, True, 3.0))
    assert [row["layer"] for row in found.rows] == ["b", "a"]
    assert [row["time, %"] for row in found.rows] == [75.0, 25.0]
    assert "QLinearConv 'b' 75 %" in found.reason


def test_times_that_are_all_zero_are_not_divided_by():
    assert "times were not measured" in share(conv("a", 1, True, 0.0)).reason
