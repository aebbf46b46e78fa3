"""What accuracy rests on: every image, the artifact's own predictions, outputs that vary."""

import numpy as np
import pytest

from conversion.core.quantity import About
from conversion.proof.metrics.compare import Incomparable, NoPower
from conversion.proof.metrics.evaluation_integrity import (
    differing_rows,
    images_evaluated,
    outputs_vary,
    own_predictions,
)

ABOUT = About("synthetic", "onnx-fp32")
Y = np.random.RandomState(0).normal(size=(300, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("rows", "evaluated", "images", "verdict", "reason"),
    [
        (10_000, 10_000, 10_000, "pass", ""),
        (1000, 10_000, 10_000, "fail", "1000 of 10000 images"),
        (1000, 1000, 10_000, "fail", "1000 of 10000 images"),
        (10_000, 1000, 10_000, "fail", "1000 of 10000 images"),
        (10_001, 10_000, 10_000, "fail", "10001 of 10000 images"),
        (0, 0, 10_000, "fail", "0 of 10000 images"),
    ],
)
def test_every_image_of_the_subject_must_be_evaluated(rows, evaluated, images, verdict, reason):
    found = images_evaluated(ABOUT, rows, evaluated, images)
    assert (str(found.verdict), found.reason) == (verdict, reason)
    assert (found.value == found.limit) == (verdict == "pass")


@pytest.mark.parametrize(("units", "count"), [(0, 0), (29, 0), (31, 3)])
def test_rows_further_apart_than_rounding_are_counted(units, count):
    again = Y.copy()
    again[[5, 17, 200]] += np.float32(units * 2.0**-10)
    noise = {"y": 2.0**-10}
    assert differing_rows({"y": Y}, {"y": again}, {"y": "none"}, noise) == count


def test_an_image_that_differs_in_two_outputs_counts_once():
    again = Y.copy()
    again[5] += 1
    pair = ({"a": Y, "b": Y}, {"a": again, "b": again})
    assert differing_rows(*pair, {"a": "none", "b": "none"}, {"a": 0.001, "b": 0.001}) == 1


@pytest.mark.parametrize("again", [Y[:-1], Y * np.float32(np.nan)], ids=["short", "nan"])
def test_rows_that_cannot_be_compared_raise(again):
    with pytest.raises(Incomparable):
        differing_rows({"y": Y}, {"y": again}, {"y": "none"}, {"y": 1.0})


def test_no_rows_say_nothing():
    with pytest.raises(NoPower):
        differing_rows({"y": Y[:0]}, {"y": Y[:0]}, {"y": "none"}, {"y": 1.0})


@pytest.mark.parametrize(
    ("causes", "differing", "reason"),
    [
        ([], 0, ""),
        (["predictions are Keras's own bytes"], 0, "predictions are Keras's own bytes"),
        ([], 3, "3 of 500 images get other outputs when the file is asked again"),
        (
            ["the file is a copy of onnx-fp32's"],
            3,
            "the file is a copy of onnx-fp32's; 3 of 500 images get other outputs when the file "
            "is asked again",
        ),
    ],
)
def test_every_cause_is_said(causes, differing, reason):
    found = own_predictions(ABOUT, causes, differing, 500)
    assert found.reason == reason
    assert str(found.verdict) == ("fail" if reason else "pass")


@pytest.mark.parametrize(
    ("outputs", "verdict"),
    [
        (Y, "pass"),
        (np.tile(Y[:1], (300, 1)), "fail"),
        (Y * 0, "fail"),
        (np.where(np.arange(4) == 2, np.float32(np.nan), Y), "fail"),
        (Y[:0], "fail"),
    ],
    ids=["good", "one row for all", "zero", "nan", "empty"],
)
def test_outputs_must_vary(outputs, verdict):
    found = outputs_vary(ABOUT, {"y": outputs}, {"y": Y}, {"y": "none"})
    assert str(found.verdict) == verdict
    assert bool(found.reason) == (verdict == "fail")


def test_outputs_that_do_not_vary_in_keras_either_are_no_failure():
    found = outputs_vary(ABOUT, {"y": Y * 0}, {"y": Y * 0}, {"y": "none"})
    assert str(found.verdict) == "undecided"
    assert found.reason.startswith("no power: Keras's own are such")


def test_scores_of_one_sure_class_vary():
    """Logits of 33 and more before a softmax: 1 for one class, 1e-15 and less for the others."""
    small = np.float32([[1e-15, 3e-16], [4e-15, 2e-17], [2e-16, 1e-15]])
    scores = {"y": np.concatenate([np.ones((3, 1), np.float32), small], axis=1)}
    assert outputs_vary(ABOUT, scores, scores, {"y": "none"}).verdict == "undecided"
    assert outputs_vary(ABOUT, scores, scores, {"y": "softmax"}).verdict == "pass"
