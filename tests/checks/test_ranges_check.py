"""Recorded ranges beside the reference's: exact ones at both ends, fitted ones inside."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.core.quantity import About
from conversion.proof.metrics.ranges import Recorded, exact_ranges, fitted_ranges

ABOUT = About("synthetic", "onnx-int8")


def recorded(layer, low, high, wanted=(0.0, 8.0), cut=0, size=100_000):
    return Recorded(f"{layer}:0", layer, (low, high), wanted, cut, size)


def exact(*found, limit=1e-5, missed=()):
    return exact_ranges(ABOUT, found, limit, 1000, missed)


def fitted(*found, limit=0.0025):
    return {m.name: m for m in fitted_ranges(ABOUT, found, limit, 1000)}


@pytest.mark.parametrize(
    ("low", "high", "wanted", "value"),
    [
        (0.0, 8.0, (0.0, 8.0), 0),
        (0.0, 4.0, (0.0, 8.0), 0.5),
        (-1.0, 8.0, (0.0, 8.0), 0.125),
        (-4.0, 4.0, (-8.0, 8.0), 0.25),
        (0.0, 0.0, (0.0, 0.0), 0),
        (0.0, 2.0, (0.0, 0.0), 2),
        (100.0, 101.5, (100.0, 101.0), 0.5 / 101),
    ],
    ids=["same", "half", "below", "both ends", "dead", "not dead", "far from 0"],
)
def test_a_deviation_is_a_part_of_the_level(low, high, wanted, value):
    found = exact(recorded("a", low, high, wanted))
    assert found.value == pytest.approx(value)
    assert str(found.verdict) == ("pass" if value == 0 else "fail")


@pytest.mark.parametrize(("by", "verdict"), [(0.9e-5, "pass"), (1.1e-5, "fail")])
def test_rounding_passes_and_no_more(by, verdict):
    assert str(exact(recorded("a", 0.0, 8.0 * (1 + by))).verdict) == verdict


def test_the_first_layer_beyond_the_limit_is_named_with_both_ranges_and_the_others():
    found = exact(
        recorded("a", 0, 8),
        recorded("b", 0, 2.9, (0.0, 5.8)),
        recorded("c", 0, 1),
        recorded("d", 0, 8),
        recorded("e", 0, 7),
    )
    assert (str(found.verdict), found.layer, found.value) == ("fail", "b", 0.5)
    assert found.reason == (
        "range of b is [0, 2.9]; the calibration images give [0, 5.8]; so are those of 2 more: c, e"
    )
    assert [row["layer"] for row in found.rows] == ["a", "b", "c", "d", "e"]


def test_where_all_hold_the_worst_is_shown():
    found = exact(recorded("a", 0, 8), recorded("b", 0, 8.00004), recorded("c", 0, 8.00001))
    assert (str(found.verdict), found.layer, found.reason) == ("pass", "b", "")


def test_tensors_inside_a_layer_are_named_as_not_compared():
    assert exact(recorded("a", 0, 8), missed=("t",)).reason == "1 inside a layer not compared: t"


def test_no_range_to_compare_decides_nothing():
    assert {str(m.verdict) for m in (exact(), *fitted().values())} == {"undecided"}


@pytest.mark.parametrize("ends", [(0, float("nan")), (float("nan"), 8), (0, float("inf"))])
def test_a_range_that_is_not_a_number_fails(ends):
    assert str(exact(recorded("a", *ends)).verdict) == "fail"
    assert str(fitted(recorded("a", *ends))["ranges_excess"].verdict) == "fail"


@settings(max_examples=30)
@given(
    st.floats(-100, 100),
    st.floats(0.01, 100),
    st.floats(0.001, 1),
    st.sampled_from(["low", "high"]),
)
def test_an_end_moved_by_more_than_the_limit_is_always_seen(low, width, share, end):
    high = low + width
    by = share * max(abs(low), abs(high), width)
    ends = (low - by, high) if end == "low" else (low, high + by)
    assert str(exact(recorded("a", *ends, (low, high)), limit=share * 0.99).verdict) == "fail"
    assert str(exact(recorded("a", *ends, (low, high)), limit=share * 1.01).verdict) == "pass"


@pytest.mark.parametrize(
    ("cut", "size", "verdict"),
    [
        (0, 100_000, "pass"),
        (105, 100_000, "pass"),
        (107, 100_000, "fail"),
        (50_000, 100_000, "fail"),
        (5, 1200, "pass"),
        (7, 1200, "fail"),
    ],
)
def test_a_fitted_range_may_leave_out_one_value_in_a_thousand_and_a_handful(cut, size, verdict):
    found = fitted(recorded("a", 0, 5, cut=cut, size=size))
    assert str(found["ranges_cut"].verdict) == verdict
    assert str(found["ranges_excess"].verdict) == "pass"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0, 2, "pass"), (0, 8.01, "pass"), (0, 8.03, "fail"), (-0.03, 8, "fail"), (0, 16, "fail")],
)
def test_a_fitted_range_may_not_reach_past_what_there_is(low, high, verdict):
    found = fitted(recorded("a", low, high))
    assert str(found["ranges_excess"].verdict) == verdict
    if verdict == "fail":
        assert "the calibration images give [0, 8]" in found["ranges_excess"].reason


STEP = 8 / 255


@pytest.mark.parametrize(
    ("past", "verdict"), [(8 * STEP, "pass"), (10 * STEP, "fail")], ids=["near", "far"]
)
def test_a_histogram_may_cut_what_costs_less_than_rounding(past, verdict):
    """A step squared over 12 a value is what rounding costs: 0.12 % may be 8.3 steps past it."""
    found = recorded("a", 0.0, 8.0, (0.0, 8.0 + past), cut=120)
    assert str(fitted(found, limit=0.5)["ranges_cut"].verdict) == verdict
