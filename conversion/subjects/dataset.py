"""Images with their labels, in the one form that everything downstream takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import digest
from conversion.core.errors import UserError

CHUNK = 1000
"""Images that are converted at a time; bounds the memory of a pass over a large set."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, or whatever else a model takes, and where there are any their labels.

    Attributes:
        images: ``(N, ...)``, uint8 or float32; of images ``(N, H, W, C)``.
        labels: ``(N,)`` int64; None where there are none.
        source: where they come from, in words.
        classes: the classes' names in label order; empty where they are not known.
        preprocessing: what was done to them when they were read, in words; empty for nothing.
        files: the file of each image; empty where they do not come from one file each.
    """

    images: np.ndarray
    labels: np.ndarray | None
    source: str = ""
    classes: tuple[str, ...] = ()
    preprocessing: str = ""
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over images and labels, hexadecimal."""
        arrays = [self.images] if self.labels is None else [self.images, self.labels]
        return digest.of_arrays(arrays)

    def subset(self, indices: np.ndarray) -> Dataset:
        """The images at `indices`, in that order.

        Args:
            indices: ``(M,)`` int64.
        """
        labels = None if self.labels is None else self.labels[indices]
        files = tuple(self.files[index] for index in indices) if self.files else ()
        return replace(self, images=self.images[indices], labels=labels, files=files)

    @property
    def described(self) -> dict[str, Any]:
        """What a report says of it, plain values."""
        return {
            "source": self.source,
            "images": len(self),
            "shape": list(self.images.shape[1:]),
            "labelled": self.labels is not None,
            "preprocessing": self.preprocessing,
            "digest": self.digest,
        }

    def image_digests(self) -> list[str]:
        """SHA-256 of each image's values as float32: equal pixels agree whatever their dtype."""
        return list(self._image_digests)

    @cached_property
    def _image_digests(self) -> tuple[str, ...]:
        # Adding zero turns -0.0 into 0.0, which is equal to it and has other bytes.
        return tuple(
            digest.of_arrays([image]) for chunk in chunks(self.images) for image in chunk + 0
        )


def chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    """All images in order, float32, at most `CHUNK` at a time."""
    for start in range(0, len(images), CHUNK):
        yield images[start : start + CHUNK].astype(np.float32, copy=False)


def dataset_of(
    images: np.ndarray, labels: np.ndarray | None, source: str, classes: tuple[str, ...] = ()
) -> Dataset:
    """A data set from arrays as users store them.

    Args:
        images: ``(N, ...)``, any float, or whole numbers from 0 to 255.
        labels: ``(N,)``, ``(N, 1)`` or one-hot ``(N, classes)``; None where there are none.
        source: where they come from, in words.
        classes: the classes' names in label order.

    Raises:
        UserError: the images or labels are of another kind, or their counts differ.
    """
    images = as_images(images, source)
    if labels is not None:
        labels = as_labels(labels, source)
        refuse_other_count(images, labels, source)
    return Dataset(images, labels, source, classes)


def as_images(found: np.ndarray, source: str) -> np.ndarray:
    """Images as uint8 or float32; arrays that are either already are not copied.

    Args:
        found: ``(N, ...)``, any float, or whole numbers from 0 to 255.
        source: where they come from, for the sentence.

    Raises:
        UserError: they are not numbers, not an array of images, or whole numbers outside 0..255.
    """
    if found.ndim == 0 or found.dtype.kind not in "uif":
        raise UserError(
            f"Expected images as an array of uint8 or float32; found {found.dtype} of shape "
            f"{found.shape} in {source}: store the pixels as numbers."
        )
    if found.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what overflows is Inf, and that is refused by name
            return found.astype(np.float32, copy=False)
    if found.size and (found.min() < 0 or found.max() > 255):
        raise UserError(
            f"Expected whole-number pixels from 0 to 255; found {found.min()} to {found.max()} in "
            f"{source}: store them as uint8, or as float32 if the model was trained on such values."
        )
    return found.astype(np.uint8, copy=False)


def as_labels(found: np.ndarray, source: str) -> np.ndarray:
    """Labels as ``(N,)`` int64.

    Args:
        found: ``(N,)``, ``(N, 1)`` or one-hot ``(N, classes)``; whole numbers of any dtype.
        source: where they come from, for the sentence.

    Raises:
        UserError: they are not numbers, NaN, not whole, or rows that are not one-hot.
    """
    expected = "Expected one class number for each image, counted from 0"
    if found.dtype.kind not in "buif" or found.ndim not in (1, 2):
        raise UserError(f"{expected}; found {found.dtype} of shape {found.shape} in {source}.")
    if np.isnan(found).any():
        count = int(np.isnan(found).sum())
        raise UserError(f"{expected}; found {count} NaN in {source}: take those images out.")
    if found.ndim == 2 and found.shape[1] != 1:
        if not np.isin(found, (0, 1)).all() or (found.sum(axis=1) != 1).any():
            raise UserError(
                f"{expected}, or one-hot rows; found rows of {found.shape[1]} numbers that are not "
                f"one-hot in {source}: take the argmax."
            )
        return np.asarray(np.argmax(found, axis=1), np.int64)
    flat = found.reshape(-1)
    if flat.dtype.kind == "f":
        broken = (flat != np.trunc(flat)) | (np.abs(flat) > 2**53)  # float64 is exact up to there
        if broken.any():
            odd = flat[np.argmax(broken)]
            raise UserError(
                f"{expected}; found {odd} in {source}: store whole numbers, or leave them out "
                "where the model gives no class scores."
            )
    return flat.astype(np.int64)


def refuse_other_count(images: np.ndarray, labels: np.ndarray, source: str) -> None:
    """Refuse labels that are not one for each image.

    Raises:
        UserError: there are more or fewer labels than images.
    """
    if len(labels) != len(images):
        raise UserError(
            f"Expected one label for each of {len(images)} images; found {len(labels)} labels in "
            f"{source}: store both in the same order and number."
        )
