"""Counts of right answers, and the interval on a paired change."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conversion.core.quantity import About
from conversion.proof.metrics.accuracy import (
    Tally,
    paired_change,
    same_answers,
    tally,
    top1_change,
    top1_correct,
    top1_non_inferiority,
)

ABOUT = About("synthetic", "onnx-int8")
SCORES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3], [0.2, 0.2, 0.6], [0.5, 0.1, 0.4]],
    np.float32,
)
LABELS = np.array([0, 1, 0, 2, 2])


def spoilt(value):
    scores = SCORES.copy()
    scores[1, 1] = value
    return scores


def paired(lost, gained, n=10_000):
    """Tallies of a baseline and a candidate with so many answers lost and gained."""
    both = np.arange(n) < n - lost - gained
    baseline = both | (np.arange(n) < n - gained)
    candidate = both | (np.arange(n) >= n - gained)
    return tuple(
        Tally(right.astype(np.int64), right, np.zeros((2, 2), np.int64))
        for right in (baseline, candidate)
    )


def test_right_answers_are_counted_by_class_and_by_what_was_said():
    found = tally(SCORES, LABELS)
    assert found.predictions.tolist() == [0, 1, 1, 2, 0]
    assert (found.n, found.hits) == (5, 3)
    assert found.per_class == ((1, 2), (1, 1), (1, 2))
    assert found.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_the_first_of_equal_scores_is_the_answer():
    assert tally(np.array([[0.4, 0.4, 0.2]]), np.array([1])).predictions.tolist() == [0]


def test_other_labels_and_one_image_less_change_the_counts():
    permuted = np.array([1, 2, 0])[LABELS]  # 0 1 0 2 2 becomes 1 2 1 0 0
    assert tally(SCORES, permuted).hits == 2
    assert tally(SCORES[1:], LABELS[1:]).hits == 2
    assert tally(SCORES[1:], LABELS[1:]).n == 4


@pytest.mark.parametrize(
    ("probability", "answer"), [(0.5, 0), (0.50001, 1), (0.49999, 0), (1.0, 1), (0.0, 0)]
)
def test_one_output_says_class_one_above_one_half(probability, answer):
    found = tally(np.array([[probability]], np.float32), np.array([answer]))
    assert (found.predictions.tolist(), found.hits) == ([answer], 1)
    assert found.confusion.shape == (2, 2)


def test_a_label_beyond_the_outputs_is_a_class_of_its_own_that_is_never_right():
    found = tally(SCORES, np.array([0, 1, 0, 2, 4]))
    assert found.per_class == ((1, 2), (1, 1), (1, 1), (0, 0), (0, 1))


@pytest.mark.parametrize(
    ("outputs", "labels", "sentence"),
    [
        (SCORES, LABELS[:4], "5 outputs for 4 labels"),
        (SCORES[:4], LABELS, "4 outputs for 5 labels"),
        (SCORES[:0], LABELS[:0], "0 outputs for 0 labels"),
        (spoilt(np.nan), LABELS, "NaN or Inf"),
        (spoilt(np.inf), LABELS, "NaN or Inf"),
        (SCORES, LABELS - 1, "label -1; classes are counted from 0"),
    ],
    ids=["fewer labels", "fewer outputs", "none", "nan", "inf", "negative label"],
)
def test_what_cannot_be_counted_is_refused(outputs, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        tally(outputs, labels)


@settings(max_examples=30)
@given(st.data())
def test_hits_are_where_the_largest_score_is_the_label(data):
    n, classes = data.draw(st.integers(1, 20)), data.draw(st.integers(2, 5))
    scores = data.draw(hnp.arrays(np.float32, (n, classes), elements=st.floats(0, 1, width=32)))
    labels = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    found = tally(scores, labels)
    assert found.hits == int((scores.argmax(axis=1) == labels).sum())
    assert found.hits == sum(right for right, _ in found.per_class)
    assert found.confusion.sum() == n
    assert (
        found.confusion.sum(axis=0).tolist()
        == np.bincount(scores.argmax(axis=1), minlength=classes).tolist()
    )


@pytest.mark.parametrize(
    ("floor", "n", "hits", "verdict", "limit"),
    [
        (85.0, 10_000, 8500, "pass", 8500),
        (85.0, 10_000, 8499, "fail", 8500),
        (55.0, 100, 55, "pass", 55),  # 55 / 100 * 100 is 55.000000000000007 in float64
        (85.0, 7, 6, "pass", 6),
        (85.0, 7, 5, "fail", 6),
        (None, 10, 6, "pass", 6),
        (None, 10, 5, "undecided", 6),  # a weak model is no wrong conversion
    ],
)
def test_the_least_count_is_the_floor_or_one_more_than_the_commonest_class(
    floor, n, hits, verdict, limit
):
    right = np.arange(n) < hits
    confusion = np.array([[n // 2, 0], [0, n - n // 2]])
    found = top1_correct(ABOUT, Tally(right.astype(int), right, confusion), floor, (), False)
    assert (str(found.verdict), found.value, found.limit, found.n) == (verdict, hits, limit, n)
    assert ("--preprocess" in found.reason) is (verdict == "undecided")
    assert found.concerns == ("conversion" if floor else "advice")


@pytest.mark.parametrize(
    ("of_one", "label", "verdict"),
    [(297, 75, "undecided"), (280, 75, "pass"), (297, 200, "pass")],
    ids=["one answer", "several", "one label"],
)
def test_one_answer_to_nearly_all_images_is_said(of_one, label, verdict):
    """Of images that were not prepared as in training, at 1.3 points above the commonest class."""
    labels = np.arange(300) >= label
    labels = labels + (np.arange(300) >= 150) * 1.0 if label < 150 else labels
    answers = np.zeros(300, int)
    answers[of_one:] = labels[of_one:]
    scores = np.eye(3)[answers]
    found = top1_correct(ABOUT, tally(scores, labels.astype(int)), None, ("a", "b", "c"), False)
    said = f"{of_one} of 300 answers are a: are the images prepared as in training"
    assert (said in found.reason) is (verdict == "undecided")
    assert found.concerns == "advice"


def test_the_rows_of_a_count_name_the_classes():
    found = top1_correct(ABOUT, tally(SCORES, LABELS), None, ("cat", "dog"), cached=True)
    assert [dict(row) for row in found.rows] == [
        {"class": "cat", "correct": 1, "images": 2, "predicted": [1, 1, 0]},
        {"class": "dog", "correct": 1, "images": 1, "predicted": [0, 1, 0]},
        {"class": "2", "correct": 1, "images": 2, "predicted": [1, 0, 1]},
    ]
    assert found.cached


def test_the_digest_of_a_count_is_of_the_answers():
    one, other = (
        top1_correct(ABOUT, tally(SCORES[o], LABELS[o]), None, (), False).digest
        for o in ([0, 1, 2, 3, 4], [0, 1, 2, 4, 3])
    )
    assert one != other


# Agresti and Min 2005, worked out with forty decimal digits from
# d +- 1.959963984540054 sqrt((b + c) - (c - b)^2 / (n + 2)) / (n + 2), b and c with a half added.
@pytest.mark.parametrize(
    ("lost", "gained", "n", "points", "low", "high"),
    [
        (109, 87, 10_000, -0.22, -0.4949612735503871, 0.05504925595390638),
        (87, 109, 10_000, 0.22, -0.05504925595390638, 0.4949612735503871),
        (0, 0, 10_000, 0.0, -0.01959572070126029, 0.01959572070126029),
        (10, 0, 100, -10.0, -15.886297812950428, -3.7215453243044747),
    ],
)
def test_the_interval_on_a_paired_change_is_that_of_agresti_and_min(
    lost, gained, n, points, low, high
):
    baseline, candidate = paired(lost, gained, n)
    found = paired_change(baseline.correct, candidate.correct)
    assert (found.lost, found.gained, found.n) == (lost, gained, n)
    assert found.points == pytest.approx(points)
    assert found.interval == pytest.approx((low, high), rel=1e-12)


def test_answers_to_other_images_cannot_be_paired():
    with pytest.raises(ValueError, match="5 answers against 4"):
        paired_change(np.ones(5, bool), np.ones(4, bool))


@pytest.mark.parametrize(
    ("lost", "verdict", "value"),
    [
        (109, "pass", -0.4949612735503871),
        (132, "pass", -0.7404277566464504),
        (133, "undecided", -0.751079883639533),
        (194, "undecided", -1.3981856092396634),  # its upper end is -0.7414
        (195, "fail", -1.408755186804624),  # its upper end is -0.7508
        (900, "fail", None),
    ],
)
def test_a_loss_is_shown_to_be_within_the_margin_or_beyond_it_or_neither(lost, verdict, value):
    found = top1_non_inferiority(ABOUT, *paired(lost, 87), -0.75, cached=False)
    assert str(found.verdict) == verdict
    assert found.limit == -0.75
    if value is not None:
        assert found.value == found.interval[0] == pytest.approx(value, rel=1e-12)
    said = {"pass": "", "undecided": "reaches over", "fail": "whole interval lies below"}
    assert said[verdict] in found.reason
    assert bool(found.reason) is (verdict != "pass")
    assert (found.concerns, found.lacks_images) == ("cost", verdict == "undecided")


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [(137, 87, "pass"), (138, 87, "fail"), (0, 50, "pass"), (50, 0, "pass"), (51, 0, "fail")],
)
def test_the_measured_change_is_held_against_its_limit(lost, gained, verdict):
    found = top1_change(ABOUT, *paired(lost, gained), -0.5, "quantization", cached=False)
    assert str(found.verdict) == verdict
    assert found.value == pytest.approx((gained - lost) / 100)
    assert (found.rows[0]["lost"], found.rows[0]["gained"]) == (lost, gained)


def test_a_change_without_a_limit_is_reported():
    found = top1_change(ABOUT, *paired(900, 0), None, "quantization", cached=False)
    assert (str(found.verdict), found.value, found.limit, found.relation) == (
        "pass",
        -9.0,
        None,
        "",
    )


# (1.959964 s / |centre - margin|)^2 - 2 with s^2 = (b + c) / (n + 2) - centre^2, b and c with a
# half added, worked out with forty decimal digits.
@pytest.mark.parametrize(
    ("lost", "gained", "n", "margin", "needed"),
    [(133, 87, 10000, -0.75, 10075), (194, 87, 10000, -0.75, 10547), (8, 6, 1000, -0.75, 1896)],
)
def test_an_undecided_margin_says_how_many_images_would_settle_it(lost, gained, n, margin, needed):
    found = top1_non_inferiority(ABOUT, *paired(lost, gained, n), margin, cached=False)
    assert str(found.verdict) == "undecided"
    assert f"about {needed} images would settle it" in found.reason


def test_no_number_of_images_settles_a_change_that_is_the_margin():
    change = paired_change(*(each.correct for each in paired(0, 0, 1000)))
    assert change.settled_by(0.0) is None


@settings(max_examples=50)
@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([-0.75, -5.0]))
def test_so_many_images_at_the_same_rate_do_settle_it(lost, gained, margin):
    change = paired_change(*(each.correct for each in paired(lost, gained, 1000)))
    assume(abs(change.points - margin) > 0.3)  # else a rounded count decides
    needed = change.settled_by(margin)
    more = int(1.1 * max(needed, 1000))
    many = (round(lost * more / 1000), round(gained * more / 1000))
    found = top1_non_inferiority(ABOUT, *paired(*many, more), margin, cached=False)
    assert str(found.verdict) != "undecided"


# Two-sided sums of binomial probabilities at 1/2: 2 * sum(C(n, k) for k >= largest) / 2^n.
@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (8, 2, 2 * (45 + 10 + 1) / 1024),
        (2, 8, 112 / 1024),
    ],
)
def test_mcnemars_exact_p_is_reported_and_decides_nothing(lost, gained, p):
    found = top1_change(ABOUT, *paired(lost, gained), -0.5, "quantization", cached=False)
    assert found.rows[0]["mcnemar"] == pytest.approx(p)
    assert str(found.verdict) == "pass"
    assert f"exact McNemar p = {p:.2g}, no gate" in found.reason


def answers(*predictions):
    predicted = np.array(predictions)
    right = predicted == 1
    return Tally(predicted, right, np.zeros((3, 3), np.int64))


@pytest.mark.parametrize(
    ("candidate", "unsure", "value", "verdict", "images"),
    [
        ((1, 1, 0, 2), (0, 0, 0, 0), 0, "pass", []),
        ((1, 1, 2, 2), (0, 0, 0, 0), 1, "fail", [2]),  # wrong before and after, and another answer
        ((1, 1, 2, 2), (0, 0, 1, 0), 0, "pass", []),
        ((0, 1, 2, 2), (0, 0, 1, 0), 1, "fail", [0]),
        ((0, 0, 1, 1), (0, 0, 0, 0), 4, "fail", [0, 1, 2, 3]),
    ],
    ids=["same", "another wrong answer", "unsure", "one unsure of two", "all"],
)
def test_an_answer_that_rounding_cannot_change_must_be_keras_answer(
    candidate, unsure, value, verdict, images
):
    found = same_answers(
        ABOUT, answers(1, 1, 0, 2), answers(*candidate), np.array(unsure, bool), cached=False
    )
    assert (str(found.verdict), found.value, found.n) == (verdict, value, 4)
    assert [row["image"] for row in found.rows] == images
    assert found.reason == ("1 images lie within the rounding noise" if any(unsure) else "")
