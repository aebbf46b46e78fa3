"""Faults in the images that calibrate: which they are, how many, and what was done to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import in_calibration
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

ONNX, TORCH = "onnx-int8", "torch-int8"


def of_pixels(change: Callable[[np.ndarray], np.ndarray]) -> Inject:
    """A fault in the pixels of every image."""
    return in_calibration(lambda drawn, _: replace(drawn, images=change(drawn.images)))


def classes_lost(count: float) -> Inject:
    """The images of the last classes are replaced by further ones of the first classes."""

    def change(drawn: Dataset, workspace: Workspace) -> Dataset:
        train = workspace.subject.train
        assert train is not None
        assert train.labels is not None
        kept = len(np.unique(train.labels)) - int(count)
        return train.subset(np.flatnonzero(train.labels < kept)[: len(drawn)])

    return in_calibration(change)


def lost(share: float) -> Inject:
    """The last images are lost."""

    def change(drawn: Dataset, _: Workspace) -> Dataset:
        return drawn.subset(np.arange(max(1, round((1 - share) * len(drawn)))))

    return in_calibration(change)


def leaked(count: float) -> Inject:
    """The last images are replaced by test images."""

    def change(drawn: Dataset, workspace: Workspace) -> Dataset:
        test, number = workspace.test, int(count)
        assert test.labels is not None
        assert drawn.labels is not None
        images = np.concatenate([drawn.images[:-number], test.images[:number]])
        return replace(
            drawn,
            images=images,
            labels=np.concatenate([drawn.labels[:-number], test.labels[:number]]),
        )

    return in_calibration(change)


def noise(images: np.ndarray) -> np.ndarray:
    """Uniform noise in the place of images."""
    return np.random.RandomState(5).randint(0, 256, images.shape).astype(images.dtype)


def scaled(images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 1."""
    return (images / 255).astype(np.float32)


def _fault(
    name: str,
    artifact: str,
    magnitude: str,
    where: str,
    inject: Inject,
    sizes: tuple[float, ...] = (),
    resized: Callable[[float], Inject] | None = None,
    check: str = "calibration",
) -> Fault:
    return Fault(
        f"calibration-{name}",
        "calibration",
        artifact,
        magnitude,
        check,
        where,
        inject,
        sizes=sizes,
        resized=resized,
    )


FAULTS: tuple[Fault, ...] = (
    _fault(
        "on-one-class",
        ONNX,
        "9 of 10 classes lost",
        "class 0 has",
        classes_lost(9),
        sizes=(9, 5, 2, 1),
        resized=classes_lost,
    ),
    _fault("on-ten-images", TORCH, "990 of 1,000 images lost", "10 of the 1000 images", lost(0.99)),
    _fault(
        "on-one-image",
        ONNX,
        "999 of 1,000 images lost",
        "the other artifact's right answers",
        lost(0.999),
        sizes=(0.999, 0.99, 0.9),
        resized=lost,
        check="calibration-stability",
    ),
    _fault(
        "with-chunks-lost",
        ONNX,
        "750 of 1,000 images lost",
        "250 of the 1000 images",
        lost(0.75),
        sizes=(0.99, 0.9, 0.75, 0.5, 0.25, 0.1, 0.01, 0.001),
        resized=lost,
    ),
    _fault(
        "on-noise", ONNX, "uniform noise for images", "1000 of 1000 are others", of_pixels(noise)
    ),
    _fault(
        "on-black-images",
        ONNX,
        "every pixel 0",
        "images are of one value",
        of_pixels(np.zeros_like),
    ),
    _fault(
        "in-bgr",
        ONNX,
        "red and blue exchanged",
        "channels are reversed",
        of_pixels(lambda images: images[..., ::-1].copy()),
    ),
    _fault("of-scaled-pixels", ONNX, "pixels / 255", "times 0.0039", of_pixels(scaled)),
    _fault(
        "of-half-brightness",
        ONNX,
        "pixels / 2",
        "times 0.5",
        of_pixels(lambda images: images // 2),
    ),
    _fault(
        "on-test-images",
        ONNX,
        "500 of 1,000 from the test set",
        "500 images are also test images",
        leaked(500),
        sizes=(500, 100, 10, 1),
        resized=leaked,
    ),
)
