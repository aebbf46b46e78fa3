"""SQNR in dB by hand, and the layer that adds most noise of its own."""

from dataclasses import replace

import numpy as np
import pytest

from conversion.core.quantity import About
from conversion.proof.metrics.sqnr import LayerSqnr, Sqnr, chance, layer_sqnr, sqnr

ABOUT = About("small", "onnx-int8")


@pytest.mark.parametrize(
    ("signal", "found", "decibel"),
    [([3.0, 4.0], [3.0, 4.5], 20.0), ([1.0, 1.0], [2.0, 2.0], 0.0), ([10.0], [9.0], 20.0)],
    ids=["a tenth", "all of it", "one"],
)
def test_by_hand(signal, found, decibel):
    assert sqnr(np.array(signal), np.array(found)) == pytest.approx(decibel)


def test_no_noise_is_the_most_that_is_shown():
    assert sqnr(np.ones(3), np.ones(3)) == 150.0


@pytest.mark.parametrize("found", [np.ones(2), np.array([1.0, np.nan, 1.0])], ids=["shape", "nan"])
def test_what_cannot_be_compared_is_said(found):
    with pytest.raises(ValueError, match=r"shape|NaN"):
        sqnr(np.ones(3), found)


LAYERS = [
    LayerSqnr("a+b", 34.0, 34.0, 35.0, 40.0, 0.01),
    LayerSqnr("c", 25.0, 18.0, 19.0, None, 0.04),
    LayerSqnr("d", 24.0, 40.0, 60.0, 41.0, 0.02),
]


def test_the_worst_layer_is_judged_and_all_are_ranked_by_damage():
    (measured,) = layer_sqnr(ABOUT, LAYERS, "", "", 64)
    assert (measured.verdict.value, measured.layer, measured.value) == ("pass", "c", 18.0)
    assert [row["layer"] for row in measured.rows] == ["c", "d", "a+b"]
    assert measured.limit == 16.0  # 3 dB below what ideal rounding leaves of c


def test_a_layer_below_the_limit_fails_under_the_last_name_of_its_group():
    coarse = LayerSqnr("e+b", 9.0, 9.0, 12.1, 9.0, 0.9)
    (measured,) = layer_sqnr(ABOUT, [coarse, *LAYERS], "", "", 64)
    assert (measured.verdict.value, measured.layer) == ("fail", "b")


def test_a_layer_that_eight_bits_cannot_serve_is_no_failure_but_of_our_own_quantizers():
    coarse = LayerSqnr("e+b", 9.0, 9.0, 11.9, 9.0, 0.9)
    assert layer_sqnr(ABOUT, [coarse, *LAYERS], "", "", 64)[0].verdict.value == "pass"
    (floored,) = layer_sqnr(ABOUT, [coarse, *LAYERS], "", "", 64, floor=20.0)
    assert (floored.verdict.value, floored.layer, floored.limit) == ("fail", "b", 20.0)


def test_no_layer_is_asked_for_more_than_the_reference_subjects_leave():
    fine, poor = (LayerSqnr("a", own, own, 80.0, 90.0, 0.1) for own in (20.0, 19.9))
    assert layer_sqnr(ABOUT, [fine], "", "", 64)[0].verdict.value == "pass"
    assert layer_sqnr(ABOUT, [poor], "", "", 64)[0].verdict.value == "fail"


def test_an_odd_layer_fails_and_no_layer_is_undecided():
    assert layer_sqnr(ABOUT, LAYERS, "c has NaN", "", 64)[0].verdict.value == "fail"
    assert layer_sqnr(ABOUT, [], "", "", 64)[0].verdict.value == "undecided"


@pytest.mark.parametrize(("own", "verdict"), [(31.0, "undecided"), (9.0, "fail")])
def test_a_layer_of_another_shape_was_not_found_and_keeps_the_rest_from_passing(own, verdict):
    rest = [LayerSqnr("a", own, own, 33.0, own, 0.1)]
    (measured,) = layer_sqnr(ABOUT, rest, "", "", 64, "not found: c has shape (2,)")
    assert measured.verdict.value == verdict
    assert measured.reason.startswith("not found: c has shape (2,)")


def test_noise_of_few_values_is_known_less_surely():
    few, many, signal = Sqnr(), Sqnr(), np.ones(1000)
    few.add(signal, signal + np.where(np.arange(1000) < 4, 0.5, 0.0))
    many.add(signal, signal + np.where(np.arange(1000) % 2, 0.1, -0.1))
    assert (few.count, many.count) == (pytest.approx(4.0), pytest.approx(1000.0))
    # 2 / sqrt(4) of the power, so twice of it: 3 dB
    assert chance(few, many) == pytest.approx(3.05, abs=0.05)
    assert chance(many, many) < 0.4
    wrong = LayerSqnr("a", 14.0, 14.0, 19.0, None, 0.1)
    assert wrong.least == 16.0
    assert replace(wrong, chance=3.05).least < wrong.own
