"""The embedded subject: a small ResNet8 and images that a seeded generator makes."""

from __future__ import annotations

from pathlib import Path

from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.subjects.embedded_images import CLASSES, generate

TEST_IMAGES = 10_000
TRAIN_IMAGES = 5_000
FLOOR = 85.0
"""Percent; the same floor as MLPerf Tiny's target for the network of this architecture."""


def subject() -> Subject:
    """The embedded subject; it needs nothing from outside the package."""
    train, test = (
        Dataset(*generate(split, count), source=f"generator, split {split}", classes=CLASSES)
        for split, count in (("train", TRAIN_IMAGES), ("test", TEST_IMAGES))
    )
    model = Path(__file__).with_name("embedded.h5")
    return Subject("embedded", model, read_spec(model), test=test, train=train, floor=FLOOR)
