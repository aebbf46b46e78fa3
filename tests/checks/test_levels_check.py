"""Two levels of optimisation side by side: rounding passes, another meaning does not."""

import numpy as np
import pytest

from conversion.core.quantity import About
from conversion.proof.metrics.optimization_levels import (
    cost,
    equal_answers,
    float_levels,
    integer_levels,
)

ABOUT = About("synthetic", "onnx-int8")
Y = np.random.RandomState(0).randint(-8, 8, (200, 5)).astype(np.float32)


@pytest.mark.parametrize(("units", "verdict"), [(0, "pass"), (9.9, "pass"), (10.1, "fail")])
def test_float_levels_may_differ_by_ten_times_kerass_noise(units, verdict):
    other = Y + np.float32(units * 2.0**-10)
    (found,) = float_levels(ABOUT, {"y": Y}, {"y": other}, {"y": "none"}, {"y": 2.0**-10})
    assert (str(found.verdict), found.layer, found.n) == (verdict, "y", 200)
    assert found.value == pytest.approx(units, rel=1e-3)


def layers(**changed):
    random = np.random.RandomState(1)
    found = {name: random.randint(0, 256, (50, 4, 4, 3), np.uint8) for name in ("a", "b", "c")}
    return {**found, **changed}


def off(name, share, by):
    """A share of the values of one layer a few steps further."""
    value = layers()[name].astype(np.int64)
    hit = np.random.RandomState(2).rand(*value.shape) < share
    return np.clip(value + by * hit, 0, 255).astype(np.uint8)


def test_the_same_integers_pass():
    (found,) = integer_levels(ABOUT, layers(), layers(), {})
    assert (str(found.verdict), found.value, found.n) == ("pass", 0, 50)


def test_a_step_here_and_there_passes_and_the_worst_layer_is_named():
    (found,) = integer_levels(ABOUT, layers(), layers(a=off("a", 0.01, 1), b=off("b", 0.2, 2)), {})
    assert (str(found.verdict), found.layer) == ("pass", "b")
    assert 0 < found.value < 0.1
    assert [row["layer"] for row in found.rows] == ["a", "b", "c"]


def test_another_meaning_fails_and_the_first_layer_is_named():
    wrong = layers(b=off("b", 0.9, 60), c=off("c", 0.9, 200))
    (found,) = integer_levels(ABOUT, layers(), wrong, {})
    assert (str(found.verdict), found.layer) == ("fail", "b")
    assert "first in b" in found.reason
    rms = np.sqrt(np.mean((wrong["b"].astype(float) - layers()["b"]) ** 2))
    spread = np.sqrt(layers()["b"].astype(float).var(axis=0).mean())
    assert found.value == pytest.approx(rms / spread)


def narrow(hit, by=1, width=6):
    """A layer whose values spread over a few steps, and the same with some of them off."""
    random = np.random.RandomState(3)
    value = random.randint(100, 100 + width, (200, 4, 4, 3)).astype(np.uint8)
    return value, (value + by * (random.rand(*value.shape) < hit)).astype(np.uint8)


@pytest.mark.parametrize(
    ("hit", "by", "verdict"),
    [(0.043, 1, "pass"), (0.01, 1, "pass"), (0.1, 2, "fail"), (0.9, 1, "fail"), (1, 1, "fail")],
)
def test_a_layer_of_few_steps_may_be_off_by_half_of_one(hit, by, verdict):
    ours, theirs = narrow(hit, by)
    (found,) = integer_levels(ABOUT, {"a": ours}, {"a": theirs}, {})
    assert str(found.verdict) == verdict
    assert found.limit == 0.25  # half a step is more of a spread of 1.7 steps


def test_real_numbers_have_the_steps_of_the_integers_behind_them():
    ours, theirs = (each * np.float32(0.037) for each in narrow(0.043))
    (found,) = integer_levels(ABOUT, {"a": ours}, {"a": theirs}, {})
    assert (str(found.verdict), found.limit) == ("pass", 0.25)


def test_what_follows_a_layer_of_few_steps_inherits_its_limit():
    ours, theirs = narrow(0, width=8)  # spreads over 2.3 steps
    (found,) = integer_levels(
        ABOUT, layers(a=ours), layers(a=theirs, b=off("b", 0.1, 40), c=off("c", 0.9, 60)), {}
    )
    limits = {row["layer"]: row["limit"] for row in found.rows}
    assert limits["a"] == limits["b"] == pytest.approx(0.5 / 2.29, abs=0.01)
    (moved,) = (row["difference"] for row in found.rows if row["layer"] == "b")
    assert limits["c"] == 2 * moved
    assert (str(found.verdict), found.layer) == ("fail", "c")


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [((30, 55, 100, 150), "pass"), ((30, 150), "fail"), ((0, 150), "fail"), ((99, 250), "fail")],
    ids=["little by little", "at once", "from nothing", "by more than it inherits"],
)
def test_a_difference_may_grow_from_layer_to_layer(shares, verdict):
    random = np.random.RandomState(0)
    ours = {str(i): random.normal(size=(400, 8)) * 1000 for i in range(len(shares))}
    moved = zip(ours.values(), shares, strict=True)
    theirs = [each + random.normal(size=each.shape) * share for each, share in moved]
    whole = [
        {n: np.rint(e).astype(np.int32) for n, e in zip(ours, each, strict=True)}
        for each in (ours.values(), theirs)
    ]
    (found,) = integer_levels(ABOUT, *whole, {})
    assert str(found.verdict) == verdict


def test_integers_are_compared_without_wrapping_around():
    low, high = (np.tile(np.uint8([v, 255 - v]), (20, 2)) for v in (0, 255))
    low[::2], high[::2] = high[::2].copy(), low[::2].copy()
    (found,) = integer_levels(ABOUT, {"a": low}, {"a": high}, {})
    assert found.value == pytest.approx(2)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ({}, {}, "undecided"),
        ({"a": np.zeros((9, 3), np.uint8)}, {"a": np.zeros((9, 3), np.uint8)}, "undecided"),
        ({"a": layers()["a"]}, {"a": layers()["a"][:-1]}, "fail"),
        ({"a": layers()["a"]}, {"a": layers()["a"].astype(np.int8)}, "fail"),
    ],
    ids=["no layer", "flat", "fewer images", "another dtype"],
)
def test_what_says_nothing_is_undecided_and_what_cannot_be_compared_fails(ours, theirs, verdict):
    (found,) = integer_levels(ABOUT, ours, theirs, {})
    assert (str(found.verdict), found.value) == (verdict, None)


def test_a_flat_layer_beside_others_is_passed_over():
    flat = np.full((50, 3), 7, np.uint8)
    (found,) = integer_levels(ABOUT, layers(a=flat), layers(a=flat, b=off("b", 0.9, 60)), {})
    assert (str(found.verdict), found.layer) == ("fail", "b")


@pytest.mark.parametrize(("flips", "verdict"), [(0, "pass"), (10, "pass"), (11, "fail")])
def test_one_answer_of_a_hundred_may_differ(flips, verdict):
    ours = np.tile(np.float32([[0.6, 0.4], [0.3, 0.7]]), (500, 1))
    theirs = ours.copy()
    theirs[:flips] = theirs[:flips, ::-1]
    (found,) = equal_answers(ABOUT, ours, theirs, None)
    assert (str(found.verdict), found.value, found.n) == (verdict, 100 - flips / 10, 1000)
    largest = "0.4" if flips else "0"
    assert found.reason == f"the largest change of a score is {largest}"


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [(Y[:-1], "fail"), (Y * np.float32(np.nan), "fail")],
    ids=["short", "nan"],
)
def test_answers_that_cannot_be_compared_fail(theirs, verdict):
    assert str(equal_answers(ABOUT, Y, theirs, None)[0].verdict) == verdict
    found = float_levels(ABOUT, {"y": Y}, {"y": theirs}, {"y": "none"}, {"y": 1.0})
    assert str(found[0].verdict) == verdict


@pytest.mark.parametrize(("costs", "verdict"), [(0.1, "fail"), (0.3, "pass")])
def test_an_output_may_differ_by_what_eight_bits_cost_it_at_either_level(costs, verdict):
    wrong = layers(c=off("c", 0.5, 30))
    (found,) = integer_levels(ABOUT, layers(), wrong, {"c": costs})
    assert (str(found.verdict), found.layer) == (verdict, "c")
    assert 0.1 < found.value < 0.3


def test_what_eight_bits_cost_is_that_of_the_better_level():
    near, far = (Y + np.float32(each) * np.sign(Y + 0.5) for each in (0.1, 2.0))
    assert cost(Y.astype(np.float64), far, near) == pytest.approx(2**0.5 * 0.1 / Y.std(), rel=0.01)
    assert cost(Y.astype(np.float64), far, Y * np.float32(np.nan)) == 0


SCORES = np.tile(np.float32([[0.6, 0.4], [0.3, 0.7]]), (500, 1))


def flipped(*rows):
    found = SCORES.copy()
    found[list(rows)] = found[list(rows)][:, ::-1]
    return found


@pytest.mark.parametrize(
    ("deployed", "plain", "verdict"),
    [
        (range(60), range(20, 80), "pass"),  # each is wrong on 60, and they differ on 40
        (range(40), (), "fail"),
        ((), range(40), "fail"),
        (range(60), range(60, 120), "fail"),
    ],
    ids=["the same rounding", "only as deployed", "only as written", "other images"],
)
def test_as_many_answers_may_change_as_eight_bits_change_at_the_better_level(
    deployed, plain, verdict
):
    pair = flipped(*deployed), flipped(*plain)
    (found,) = equal_answers(ABOUT, *pair, SCORES.astype(np.float64))
    assert str(found.verdict) == verdict
