"""The embedded subject: a small ResNet8 and images that a seeded generator makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.artifact import Store
from conversion.core.code import code_digest
from conversion.readers import read_spec
from conversion.subjects import Subject, embedded_images
from conversion.subjects.data import Dataset

TEST_IMAGES = 10_000
TRAIN_IMAGES = 5_000
FLOOR = 85.0
"""Percent; the same floor as MLPerf Tiny's target for the network of this architecture."""


def subject() -> Subject:
    """The embedded subject; it needs nothing from outside the package."""
    model = Path(__file__).with_name("embedded.h5")
    train, test = _images("train", TRAIN_IMAGES), _images("test", TEST_IMAGES)
    return Subject("embedded", model, read_spec(model), test=test, train=train, floor=FLOOR)


def _images(split: str, count: int) -> Dataset:
    """The images of a split, which are kept in the store: all of them take seconds to draw."""

    def build(folder: Path) -> Mapping[str, Any]:
        images, labels = embedded_images.generate(split, count)
        np.savez(folder / "images.npz", images=images, labels=labels)
        return {}

    code = code_digest(embedded_images.__name__, alone=(__name__,))
    key = {"split": split, "count": count}
    entry = Store().obtain("embedded-images", key, ("numpy",), build, code)
    with np.load(entry.file("images.npz"), allow_pickle=False) as kept:
        arrays = kept["images"], kept["labels"]
    return Dataset(*arrays, source=f"generator, split {split}", classes=embedded_images.CLASSES)
