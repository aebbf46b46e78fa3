"""A calibration set beside the honest draw: each cause is found and said in words."""

import numpy as np
import pytest

from conversion.core import digest
from conversion.core.quantity import About
from conversion.proof.metrics.calibration import (
    calibration_classes,
    calibration_draw,
    calibration_images,
    calibration_leak,
)
from conversion.subjects.data import Dataset

ABOUT = About("synthetic", "onnx-int8")
TRAIN = np.random.RandomState(0).randint(0, 256, (1200, 4, 4, 3), np.uint8)
HONEST = Dataset(TRAIN[:600], None)


def drawn(images, recorded=None):
    """The measurement, where the artifact says it was calibrated on just these images."""
    recorded = digest.of_arrays([images]) if recorded is None else recorded
    return calibration_draw(ABOUT, Dataset(images, None), HONEST, recorded, 0)


def test_the_images_that_the_seed_draws_pass():
    found = drawn(TRAIN[:600].copy())
    assert (str(found.verdict), found.value, found.n, found.seed) == ("pass", 0, 600, 0)
    assert found.reason == ""


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (TRAIN[:150], "150 of the 600 images that seed 0 draws"),
        (TRAIN[:600][::-1], "600 of the 600 images that seed 0 draws in another order"),
        (TRAIN[[7] * 600], "1 of the 600 images that seed 0 draws"),
        (TRAIN[600:], "not the images that seed 0 draws: 600 of 600 are others"),
        (TRAIN[300:900], "not the images that seed 0 draws: 300 of 600 are others"),
        (TRAIN[600:700], "not the images that seed 0 draws: 100 of 100 are others"),
        (
            TRAIN[:600, ..., ::-1],
            "not the images that seed 0 draws: their channels are reversed",
        ),
        (TRAIN[:600] // 2, "not the images that seed 0 draws: they are times 0.5"),
        (
            (TRAIN[:600] / 255).astype(np.float32),
            "not the images that seed 0 draws: they are times 0.0039",
        ),
        (TRAIN[:600] * 0, "not the images that seed 0 draws: they are times 0"),
        (
            TRAIN[:600].astype(np.float32),
            "600 of the 600 images that seed 0 draws in another order",
        ),
    ],
    ids=[
        "chunks lost",
        "another order",
        "one image",
        "another seed",
        "half of them",
        "few others",
        "bgr",
        "half bright",
        "scaled",
        "black",
        "another dtype",
    ],
)
def test_other_images_fail_and_what_they_are_is_said(images, reason):
    found = drawn(np.ascontiguousarray(images))
    assert (str(found.verdict), found.reason) == ("fail", reason)


def test_an_artifact_that_records_another_set_than_is_kept_fails():
    found = drawn(TRAIN[:600], recorded=digest.of_arrays([TRAIN[600:]]))
    assert str(found.verdict) == "fail"
    assert found.reason.startswith("the artifact was calibrated on other images")


def test_few_images_that_were_asked_for_pass_with_a_word():
    few = Dataset(TRAIN[:100], None)
    found = calibration_draw(ABOUT, few, few, digest.of_arrays([TRAIN[:100]]), 3)
    assert str(found.verdict) == "pass"
    assert found.reason == "100 images; 500 or more are recommended"


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        ([0] * 50 + [1] * 30 + [2] * 20, "pass", ""),
        ([0] * 51 + [1] * 30 + [2] * 19, "pass", ""),
        ([0] * 55 + [1] * 30 + [2] * 15, "fail", "class 0 has 55 of 100 images"),
        ([2] * 100, "fail", "class 2 has 100 of 100 images"),
        ([0] * 62 + [1] * 38, "fail", "class 0 has 62 of 100 images"),
        ([3] * 100, "fail", "class 3 has 100 of 100 images"),
        ([0, 1], "pass", ""),
    ],
    ids=["its share", "one image more", "five more", "one class", "one lost", "unknown", "two"],
)
def test_each_class_has_its_share_of_the_training_set(found, verdict, reason):
    train = np.repeat([0, 1, 2], [500, 300, 200])
    measured = calibration_classes(ABOUT, np.array(found), train)
    assert (str(measured.verdict), measured.reason) == (verdict, reason)
    assert sum(row["images"] for row in measured.rows) == len(found)


def test_an_image_that_is_also_a_test_image_fails_whatever_its_dtype():
    test = Dataset(TRAIN[600:].astype(np.float32), None)
    assert str(calibration_leak(ABOUT, HONEST, test).verdict) == "pass"
    leaking = Dataset(np.concatenate([TRAIN[:598], TRAIN[700:702]]), None)
    found = calibration_leak(ABOUT, leaking, test)
    assert (str(found.verdict), found.value) == ("fail", 2)
    assert found.reason == "2 images are also test images"
    assert [row["image"] for row in found.rows] == [598, 599]


@pytest.mark.parametrize(("blank", "verdict"), [(0, "pass"), (1, "pass"), (2, "fail")])
def test_blank_images_are_counted_against_those_of_the_draw(blank, verdict):
    honest, found = TRAIN[:600].copy(), TRAIN[:600].copy()
    honest[5] = 255
    found[:blank] = 7
    measured = calibration_images(ABOUT, found, honest)
    assert (str(measured.verdict), measured.value, measured.limit) == (verdict, blank, 1)
    assert ("images are of one value" in measured.reason) == (verdict == "fail")
