"""The margin certificate: what is certified cannot flip, and what is not is listed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.core.quantity import About
from conversion.proof.metrics.compare import Incomparable, NoPower
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.margins import (
    LISTED,
    answers,
    certificate,
    margins,
)

ABOUT = About("synthetic", "onnx-fp32")
SCORES = np.array([[5, 1, 0], [0, 3, 2], [1, 0, 1.5], [9, 9, 0]], np.float32)
"""Gaps of 4, 1, 0.5 and 0."""


def noise(rms=0.001, spread=1000.0):
    levels = np.full(4, spread)
    return Difference(
        "y", 4, rms, np.zeros(3), np.zeros(4), rms, spread, spread, 1, np.full(3, 4), levels
    )


def moved(by):
    return SCORES + np.array(by, np.float32)


def certified(candidate, reference=SCORES, head="none", of=None):
    found = margins(reference, candidate, head)
    return {m.name: m for m in certificate(ABOUT, "y", found, of or noise())}


def test_gaps_and_differences_are_those_worked_out_by_hand():
    found = margins(SCORES, moved([[0, 1, 0], [0, 0, 0.25], [0.125, 0, 0], [0, 0, 0]]), "none")
    assert found.gaps.tolist() == [4, 1, 0.5, 0]
    assert found.differences.tolist() == [1, 0.25, 0.125, 0]
    assert found.certified.tolist() == [True, True, True, False]
    assert not found.flipped.any()


@pytest.mark.parametrize(("by", "certain"), [(0.499, True), (0.5, False), (0.6, False)])
def test_half_the_gap_is_where_certainty_ends(by, certain):
    candidate = SCORES.copy()
    candidate[1] += np.float32([0, -by, by])
    assert margins(SCORES, candidate, "none").certified[1] == certain


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.sampled_from(["none", "softmax"]))
def test_no_perturbation_below_half_the_gap_changes_an_answer(seed, classes, head):
    random = np.random.RandomState(seed)
    scores = random.normal(0, 3, (20, classes))
    two = np.sort(scores, axis=1)[:, -2:]
    half = (two[:, 1:] - two[:, :1]) / 2
    worst = np.where(scores == two[:, 1:], -1, 1) * 0.999 * half  # the worst that there is
    for error in (worst, half * random.uniform(-0.999, 0.999, scores.shape)):
        assert (answers(scores + error) == answers(scores)).all()
        ours, theirs = (in_head(each, head) for each in (scores, scores + error))
        found = margins(ours, theirs, head)
        assert not (found.flipped & found.certified).any()
    if head == "none":
        assert found.certified.all()


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 5), st.sampled_from(["none", "softmax"]))
def test_what_is_certified_never_flips_whatever_the_error(seed, size, head):
    random = np.random.RandomState(seed)
    scores = np.round(random.normal(0, 2, (50, 4)), 1)  # ties too
    ours, theirs = (in_head(s, head) for s in (scores, scores + random.normal(0, size, (50, 4))))
    found = margins(ours, theirs, head)
    assert (answers(ours) == answers(theirs))[found.certified].all()
    assert (found.flipped == (answers(ours) != answers(theirs))).all()


def in_head(scores, head):
    if head == "none":
        return scores.astype(np.float32)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("probability", "other", "certain", "flips"),
    [
        (0.9, 0.6, True, False),
        (0.6, 0.45, False, True),
        (0.4, 0.35, True, False),
        (0.4, 0.3, False, False),
    ],
)
def test_one_sigmoid_is_as_far_from_the_other_answer_as_from_even_odds(
    probability, other, certain, flips
):
    ours, theirs = (np.array([[p], [0.2]], np.float32) for p in (probability, other))
    found = margins(ours, theirs, "sigmoid")
    odds = abs(np.log(probability / (1 - probability)))
    assert found.gaps[0] == pytest.approx(2 * odds, rel=1e-5)
    assert (bool(found.certified[0]), bool(found.flipped[0])) == (certain, flips)


@pytest.mark.parametrize(
    "candidate",
    [SCORES * np.float32(np.nan), SCORES[:-1], SCORES[:, :2], SCORES.astype(np.float64)],
    ids=["nan", "fewer images", "fewer classes", "float64"],
)
def test_what_cannot_be_compared_raises(candidate):
    with pytest.raises(Incomparable):
        margins(SCORES, candidate, "none")


def test_flat_scores_certify_nothing():
    with pytest.raises(NoPower):
        margins(SCORES * 0, SCORES * 0, "none")


def test_the_share_and_the_smallest_half_gap_are_said():
    found = certified(SCORES[:3].copy(), SCORES[:3])["margin_certified"]
    assert (str(found.verdict), found.value, found.limit, found.n) == ("pass", 100, 100, 3)
    assert "an error up to 0.25 cannot change any of these 3 answers" in found.reason


def test_an_image_within_the_reach_of_rounding_is_listed_and_forgiven():
    found = certified(moved([[0, 0, 0], [0, 0, 0], [0, 0, 0], [-0.001, 0, 0]]))
    assert {name: str(m.verdict) for name, m in found.items()} == {
        "margin_certified": "pass",
        "margin_lost": "pass",
    }
    assert (found["margin_certified"].value, found["margin_certified"].limit) == (75, 75)
    (row,) = found["margin_certified"].rows
    assert (row["image"], row["gap"], row["differs"]) == (3, 0, True)
    assert "1 within the reach of rounding (0.02)" in found["margin_certified"].reason


def test_an_image_beyond_the_reach_of_rounding_that_is_not_certified_fails():
    found = certified(moved([[0, 0, 0], [0, -0.6, 0.6], [0, 0, 0], [0, 0, 0]]))
    assert {name: str(m.verdict) for name, m in found.items()} == {
        "margin_certified": "fail",
        "margin_lost": "fail",
    }
    assert [row["image"] for row in found["margin_certified"].rows] == [1, 3]
    assert [row["image"] for row in found["margin_lost"].rows] == [1]
    assert "1 images are not certified, 1 of them flip" in found["margin_lost"].reason


@pytest.mark.parametrize(
    ("by", "verdict"), [([0, -0.55, 0], "undecided"), ([0, -0.6, 0.6], "fail")]
)
def test_what_a_doubtful_truth_leaves_open_is_open_unless_an_answer_flips(by, verdict):
    candidate = moved([[0, 0, 0], by, [0, 0, 0], [0, 0, 0]])
    found = certificate(ABOUT, "y", margins(SCORES, candidate, "none"), noise(), doubt="a doubt")
    (lost,) = (m for m in found if m.name == "margin_lost")
    assert str(lost.verdict) == verdict
    assert lost.reason.startswith("a doubt") == (verdict == "undecided")
    assert str(certified(candidate)["margin_lost"].verdict) == "fail"


def test_a_certified_image_does_not_make_up_for_a_lost_one():
    candidate = moved([[0, 0, 0], [0, -0.6, 0.6], [0, 0, 0], [0, 0, 0]])
    found = certified(candidate, of=noise(rms=0.03))  # reach 0.6: images 2 and 3 are within it
    assert found["margin_certified"].value == 50  # images 0 and 2
    assert found["margin_certified"].limit == 50  # images 0 and 1
    assert str(found["margin_lost"].verdict) == "fail"


def test_no_more_images_are_listed_than_a_page_holds():
    many = np.tile(SCORES[1], (200, 1)) + np.arange(200, dtype=np.float32)[:, None]
    found = certified(many[:, ::-1].copy(), many)["margin_lost"]
    assert (found.value, len(found.rows)) == (200, LISTED)
