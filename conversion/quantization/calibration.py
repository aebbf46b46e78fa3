"""Calibration sets: training images drawn by seed and class, none of them a test image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conversion import digest
from conversion.errors import UserError
from conversion.settings import CalibrationChoice
from conversion.subjects.data import Dataset, draw_stratified

FILE = "calibration.npz"
BATCH = 50
"""Images that a calibrator sees at a time; bounds its memory."""


def draw(train: Dataset, test: Dataset | None, choice: CalibrationChoice) -> Dataset:
    """Draw a calibration set, stratified by class.

    Args:
        train: the images to draw from.
        test: the evaluation set that none of them may be in; None where there is none.
        choice: how many and by which seed.

    Returns:
        The drawn images with their labels, in drawn order.

    Raises:
        UserError: a drawn image is also, by content, in the evaluation set.
    """
    indices = draw_stratified(train.labels, len(train), min(choice.count, len(train)), choice.seed)
    drawn = train.subset(indices)
    if test is not None:
        refuse_leak(drawn, test)
    return drawn


def refuse_leak(calibration: Dataset, test: Dataset) -> None:
    """Refuse a calibration set that shares an image with the evaluation set.

    Args:
        calibration: the images that would calibrate.
        test: the evaluation set.

    Raises:
        UserError: they share one or more images, by content.
    """
    shared = set(calibration.image_digests()) & set(test.image_digests())
    if shared:
        raise UserError(
            f"Expected calibration images that are not in the evaluation set; {len(shared)} of "
            f"{len(calibration)} are: calibrate on training images."
        )


def save(calibration: Dataset, folder: Path, choice: CalibrationChoice) -> Mapping[str, Any]:
    """Save a calibration set and say what is in it.

    Returns:
        Count, seed, digest of the content, and how many images each class has.
    """
    arrays: dict[str, Any] = {"images": calibration.images}
    if calibration.labels is not None:
        arrays["labels"] = calibration.labels
    np.savez(folder / FILE, **arrays)
    labels = calibration.labels
    return {
        "count": len(calibration),
        "seed": choice.seed,
        "content": digest.of_arrays([calibration.images]),
        "classes": [] if labels is None else np.bincount(labels).tolist(),
        "source": calibration.source,
    }


def batches(file: Path) -> Iterator[np.ndarray]:
    """The images of a saved calibration set, ``(up to 50, H, W, C)`` float32 at a time."""
    with np.load(file, allow_pickle=False) as content:
        images = content["images"]
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH].astype(np.float32)
