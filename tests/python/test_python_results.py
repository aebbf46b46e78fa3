"""What the functions return is true where it passed, and is shown on one line."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from conversion import (
    Artifact,
    Detection,
    Measurement,
    Power,
    Searched,
    Tally,
    Verdict,
    Verification,
)
from conversion.proof.faults.trial import Control, Trial


def measured(*verdicts):
    return tuple(
        Measurement(f"check_{index}", "parity", "mine", "onnx-fp32", Verdict(verdict))
        for index, verdict in enumerate(verdicts)
    )


def verification(*verdicts):
    return Verification(measured(*verdicts), {}, "")


@pytest.mark.parametrize(
    ("verdicts", "passed"),
    [
        (("pass", "pass", "skipped"), True),
        (("pass", "fail"), False),
        (("pass", "undecided"), False),
        ((), False),
    ],
    ids=["passed", "failed", "undecided", "nothing"],
)
def test_a_verification_is_true_where_it_passed(verdicts, passed):
    found = verification(*verdicts)
    assert bool(found) is passed
    assert (found.exit_code() == 0) is passed


def test_a_verification_is_shown_in_counts():
    shown = repr(verification("pass", "pass", "skipped"))
    assert shown == "<Verification of mine: 2 passed, 1 skipped; exit 0>"
    assert "1 passed, 2 failed, 1 undecided; exit" in repr(
        verification("fail", "pass", "undecided", "fail")
    )
    assert "nothing measured" in repr(verification())


def searched(label, *verdicts):
    candidate = None if label is None else SimpleNamespace(label=label)
    return Searched(SimpleNamespace(candidate=candidate), measured(*verdicts), {}, "")


def test_a_search_is_true_where_what_it_recommends_passed():
    assert searched("uint8, 250 images", "pass")
    assert not searched("uint8, 250 images", "pass", "fail")
    assert not searched(None)


def test_a_search_is_shown_with_what_it_recommends():
    shown = repr(searched("uint8, 250 images", "pass"))
    assert shown == "<Searched: recommends uint8, 250 images: 1 passed; exit 0>"
    assert repr(searched(None)).startswith("<Searched: keeps float32: nothing measured; exit ")


def detection(caught, *control):
    words = ("a", "mine", "source", "onnx-fp32", "whole", "layers", "conv")
    trial = Trial(*words, caught, (), "conv", caught, None, False)
    return Detection(Power((trial,), (Control("mine", "onnx-fp32", measured(*control)),)), "")


def test_a_detection_is_true_where_everything_was_caught_and_nothing_else():
    assert detection(True, "pass")
    assert not detection(False, "pass")
    assert not detection(True, "fail")


def test_a_detection_is_shown_in_counts():
    assert repr(detection(True, "pass")) == (
        "<Detection: 1 of 1 faults caught and named, 1 of 1 untouched artifacts pass; exit 0>"
    )
    assert repr(detection(False, "fail")).startswith(
        "<Detection: 0 of 1 faults caught and named, 0 of 1 untouched artifacts pass; exit "
    )


def test_artifacts_are_shown_without_their_provenance_and_need_no_file():
    artifact = Artifact("onnx-fp32", Path("nowhere/mine.onnx"), "0123456789abcdef", {"route": "x"})
    assert repr({"onnx-fp32": artifact}) == (
        "{'onnx-fp32': <Artifact onnx-fp32: mine.onnx, sha256 0123456789ab>}"
    )


def test_a_tally_is_shown_in_counts():
    found = Tally(np.array([0, 1, 1, 0]), np.array([True, True, True, False]), np.eye(2, dtype=int))
    assert repr(found) == "<Tally: 3 of 4 right (75.00 %)>"


def test_a_measurement_is_shown_without_rows_and_reason():
    found = Measurement(
        "output_error_pooled",
        "parity",
        "mine",
        "onnx-fp32",
        Verdict.FAIL,
        12.5,
        "x Keras's noise",
        "<=",
        10,
        "conv",
        reason="its epsilon is 1e-05",
        rows=({"layer": "conv"},) * 100,
    )
    assert repr(found) == (
        "<fail: onnx-fp32 on mine in layer 'conv': output_error_pooled = 12.5 x Keras's noise "
        "(must be <= 10)>"
    )
