"""Calibration: on which images was an int8 artifact calibrated?"""

from __future__ import annotations

from functools import lru_cache

from conversion.core.measurement import Measurement
from conversion.core.settings import CalibrationChoice
from conversion.proof.checks.case import Case
from conversion.proof.metrics import calibration
from conversion.proof.metrics.quantities import CALIBRATION_DRAW
from conversion.quantization.calibration import draw, load
from conversion.subjects.data import Dataset


def calibration_of(case: Case) -> list[Measurement]:
    """The images that calibrated are those that the seed draws, like the training set, unseen."""
    reason = unknown(case)
    if reason:
        return case.skip(CALIBRATION_DRAW, reason)
    subject, about = case.workspace.subject, case.about
    assert subject.train is not None
    found = load(case.workspace.artifact("calibration").path)
    honest, recorded = honest_images(case), case.artifact.provenance.get("calibration", "")
    seed = case.workspace.settings.calibration.drawn_by
    measured = [
        calibration.calibration_draw(about, found, honest, recorded, seed),
        calibration.calibration_images(about, found.images, honest.images),
    ]
    if found.labels is not None and subject.train.labels is not None:
        classes = calibration.calibration_classes(about, found.labels, subject.train.labels)
        measured.append(classes)
    if subject.test is not None:
        measured.append(calibration.calibration_leak(about, found, subject.test))
    return measured


def unknown(case: Case) -> str:
    """Why nothing can be said of the calibration; empty where it can."""
    if case.name in case.workspace.external:  # without building the file that is asked about
        return "an external file does not say what it was calibrated on"
    if case.workspace.subject.train is None:
        return "no training images to draw from: pass --data FILE"
    return ""


def honest_images(case: Case) -> Dataset:
    """The calibration images, drawn again."""
    train = case.workspace.subject.train
    assert train is not None
    return _drawn(train, case.workspace.settings.calibration)


@lru_cache(maxsize=4)
def _drawn(train: Dataset, choice: CalibrationChoice) -> Dataset:
    return draw(train, None, choice)
