"""Two artifacts of disjoint calibration sets: the same verdicts, counts and answers, or not."""

from dataclasses import replace

import numpy as np
import pytest

from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.core.quantity import About
from conversion.core.settings import CalibrationChoice
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.stability import calibration_stability
from conversion.proof.metrics.accuracy import Change
from conversion.proof.metrics.stability import (
    reported,
    stability_agreement,
    stability_change,
    stability_verdict,
)
from conversion.quantization.calibration import draw

ABOUT = About("synthetic", "onnx-int8")
PASS, FAIL, UNDECIDED = Verdict.PASS, Verdict.FAIL, Verdict.UNDECIDED
CHANCE = Change(10, 12, 0.02, (-0.1, 0.14), 10_000)
REAL = Change(100, 20, -0.8, (-1.0, -0.6), 10_000)


def gates(*verdicts):
    return [Measurement(f"gate_{i}", "quantization", "", "", v) for i, v in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("one", "other", "change", "verdict"),
    [
        ((PASS, PASS), (PASS, PASS), CHANCE, "pass"),
        ((FAIL, FAIL), (FAIL, FAIL), CHANCE, "pass"),
        ((PASS, UNDECIDED), (PASS, PASS), REAL, "undecided"),
        ((PASS, PASS), (PASS, FAIL), CHANCE, "undecided"),
        ((PASS, PASS), (PASS, FAIL), REAL, "fail"),
        ((FAIL, PASS), (PASS, PASS), REAL, "fail"),
    ],
)
def test_gates_that_disagree_beyond_chance_fail(one, other, change, verdict):
    found = stability_verdict(ABOUT, gates(*one), gates(*other), change, Concern.COST)
    assert (str(found.verdict), found.concerns) == (verdict, "cost")
    assert found.lacks_images is (verdict == "undecided")
    assert ("for the other artifact" in found.reason) == (verdict != "pass")


@pytest.mark.parametrize(
    ("points", "interval", "verdict"),
    [
        (0.5, (0.3, 0.7), "pass"),
        (-0.5, (-0.9, -0.1), "pass"),
        (-0.51, (-0.9, -0.1), "undecided"),
        (0.8, (0.4, 1.2), "undecided"),
        (-0.8, (-1.0, -0.6), "fail"),
        (0.8, (0.6, 1.0), "fail"),
    ],
)
def test_more_or_fewer_right_answers_fail_where_the_whole_interval_says_so(
    points, interval, verdict
):
    found = stability_change(ABOUT, Change(90, 10, points, interval, 10_000))
    assert (str(found.verdict), found.value) == (verdict, abs(points))


def test_what_is_only_reported_has_no_limit_and_keeps_its_value():
    found = reported(stability_change(ABOUT, REAL))
    assert (str(found.verdict), found.limit, found.value) == ("pass", None, 0.8)


def test_other_answers_fail():
    random = np.random.RandomState(0)
    one, other = random.rand(2, 1000, 10).astype(np.float32)
    (same,), (different,) = (stability_agreement(ABOUT, one, each) for each in (one, other))
    assert (same.name, str(same.verdict), str(different.verdict)) == (
        "stability_agreement",
        "pass",
        "fail",
    )


def test_two_sets_are_disjoint_and_of_the_same_size(workspaces):
    train = workspaces("embedded").subject.train
    known = [
        set(draw(train, None, CalibrationChoice(1000, seed=3, part=part)).image_digests())
        for part in (0, 1)
    ]
    assert [len(each) for each in known] == [1000, 1000]
    assert not known[0] & known[1]


@pytest.mark.parametrize("images", [1000, 1999])
def test_too_few_training_images_for_two_sets_are_a_skip_with_its_reason(workspaces, images):
    whole = workspaces("embedded")
    few = replace(whole.subject, train=whole.subject.train.subset(np.arange(images)))
    workspace = replace(whole, subject=few)
    (found,) = calibration_stability(Case(workspace, "onnx-int8"))
    assert str(found.verdict) == "skipped"
    assert found.reason == f"{images} training images are too few for two sets of 1000"
