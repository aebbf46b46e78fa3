"""Agreement of answers: the share, its interval and three verdicts."""

import numpy as np
import pytest

from conversion.core.quantity import About
from conversion.proof.metrics.agreement import agreement, share_interval

ABOUT = About("synthetic", "onnx-int8")
CALM = np.array([0.8, 0.2], np.float32)


def scores(n):
    found = np.tile(CALM, (n, 1))
    found[::2] = found[::2, ::-1]
    return found


def flipped(n, count):
    found = scores(n)
    found[:count] = found[:count, ::-1]
    return found


def measured(n, count, limit=97.0):
    (found,) = agreement(ABOUT, scores(n), flipped(n, count), limit, "onnx-fp32")
    return found


@pytest.mark.parametrize(
    ("n", "count", "verdict"),
    [
        (10_000, 0, "pass"),
        (10_000, 300, "pass"),
        (10_000, 301, "undecided"),
        (10_000, 400, "fail"),
        (100, 4, "undecided"),
        (100, 30, "fail"),
    ],
)
def test_agreement_passes_at_the_limit_and_fails_where_its_interval_lies_below(n, count, verdict):
    found = measured(n, count)
    assert (str(found.verdict), found.n) == (verdict, n)
    assert found.value == pytest.approx(100 * (n - count) / n)
    assert (f"{count} of {n} answers are not onnx-fp32's" in found.reason) == (verdict != "pass")


def test_the_rows_say_how_much_is_certified_and_how_many_of_the_rest_flip():
    candidate = scores(1000)
    candidate[:10] = candidate[:10, ::-1]  # another answer
    candidate[10:30] = candidate[10:30] * 0.375 + 0.3125  # a gap of 0.225, by 0.1875 at most
    candidate[30:50] = [0.45, 0.45]  # one moved by 0.35: more than half the gap of 0.6
    candidate[30:50:2, 1] += np.float32(0.01)
    candidate[31:50:2, 0] += np.float32(0.01)
    (found,) = agreement(ABOUT, scores(1000), candidate, 97.0, "onnx-fp32")
    first = found.rows[0]
    assert (first["certified"], first["not certified"], first["flipped of those"]) == (97, 30, 10)
    assert first["largest change"] == pytest.approx(0.6)
    assert [row["image"] for row in found.rows[1:]] == list(range(10))


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (97, 100, 91.55, 98.97),
        (0, 10, 0.0, 27.75),
        (10, 10, 72.25, 100.0),
        (9763, 10000, 97.31, 97.91),
    ],
)
def test_the_interval_is_wilsons(hits, n, low, high):
    assert share_interval(hits, n) == pytest.approx((low, high), abs=0.01)


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        (flipped(100, 0) * np.float32(np.nan), "fail"),
        (flipped(99, 0), "fail"),
        (flipped(100, 0).astype(np.float64), "fail"),
    ],
    ids=["nan", "fewer images", "float64"],
)
def test_what_cannot_be_compared_fails(candidate, verdict):
    (found,) = agreement(ABOUT, scores(100), candidate, 97.0, "onnx-fp32")
    assert (str(found.verdict), found.value) == (verdict, None)
    assert found.reason


def test_a_flat_baseline_decides_nothing():
    flat = np.full((100, 2), 0.5, np.float32)
    (found,) = agreement(ABOUT, flat, flat, 97.0, "onnx-fp32")
    assert str(found.verdict) == "undecided"


@pytest.mark.parametrize(("other", "value"), [(0.51, 100), (0.5, 50)])
def test_one_sigmoid_answers_above_a_half(other, value):
    ours = np.array([[0.9], [0.1]], np.float32)
    theirs = np.array([[other], [0.4]], np.float32)
    (found,) = agreement(ABOUT, ours, theirs, 97.0, "onnx-fp32")
    assert found.value == value
