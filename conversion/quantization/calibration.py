"""Calibration sets: training images drawn by seed and class, none of them a test image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import digest
from conversion.core.errors import UserError
from conversion.core.settings import CalibrationChoice
from conversion.subjects.data import Dataset, draw_stratified

FILE = "images.npy"
LABELS = "labels.npy"
"""Beside the images, where there are any. Plain arrays: an ``.npz`` can only be read as a whole."""
BATCH = 50
"""Images that are in memory at a time at most, however many calibrate."""

VALUES = 1_200_000
"""Values of images that are in memory at a time: eight images of 224x224, with every layer of which
in view a network takes 150 times as much."""


def draw(train: Dataset, test: Dataset | None, choice: CalibrationChoice) -> Dataset:
    """Draw a calibration set, stratified by class; the parts of one seed are disjoint.

    Args:
        train: the images to draw from.
        test: the evaluation set that none of them may be in; None where there is none.
        choice: how many and by which seed.

    Returns:
        The drawn images with their labels, in drawn order.

    Raises:
        UserError: a drawn image is also, by content, in the evaluation set, or the parts before
            this one have left too few images.
    """
    drawn = train.subset(_indices(train, choice))
    if test is not None:
        refuse_leak(drawn, test)
    return drawn


def _indices(train: Dataset, choice: CalibrationChoice) -> np.ndarray:
    """Positions of the drawn images: the part is drawn from what the parts before it left."""
    count, left = min(choice.count, len(train)), np.arange(len(train))
    drawn = left
    for part in range(choice.part + 1):
        if len(left) < count:
            raise UserError(
                f"Expected {count} images for part {part} of the calibration images; the parts "
                f"before it leave {len(left)} of {len(train)}: ask for fewer."
            )
        labels = None if train.labels is None else train.labels[left]
        drawn = left[draw_stratified(labels, len(left), count, choice.drawn_by)]
        left = np.setdiff1d(left, drawn)
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
    np.save(folder / FILE, calibration.images)
    labels = calibration.labels
    if labels is not None:
        np.save(folder / LABELS, labels)
    return {
        "count": len(calibration),
        "seed": choice.drawn_by,
        "part": choice.part,
        "content": digest.of_arrays([calibration.images]),
        "classes": [] if labels is None else np.bincount(labels).tolist(),
        "source": calibration.source,
        "preprocessing": calibration.preprocessing,
    }


def load(file: Path) -> Dataset:
    """A saved calibration set, all of it in memory.

    Args:
        file: the images; the labels lie beside them.
    """
    labels = file.with_name(LABELS)
    return Dataset(
        np.load(file, allow_pickle=False),
        np.load(labels, allow_pickle=False) if labels.is_file() else None,
        "calibration",
    )


def batches(file: Path) -> Iterator[np.ndarray]:
    """The images of a saved calibration set, ``(up to 50, H, W, C)`` float32 at a time."""
    whole = np.load(file, mmap_mode="r", allow_pickle=False)
    count, size = len(whole), min(max(VALUES // max(whole[0].size, 1), 1), BATCH)
    del whole
    for start in range(0, count, size):
        # Mapped again: the pages that were read stay in memory for as long as a map is open.
        images = np.load(file, mmap_mode="r", allow_pickle=False)
        yield np.array(images[start : start + size], dtype=np.float32)
