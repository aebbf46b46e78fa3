"""Images resized as libraries do it: by kernel, with antialiasing or without, in float64."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

Size = tuple[int, int]


class Kernel(NamedTuple):
    """A weight by distance in pixels, and the distance from which on it is 0."""

    weight: Callable[[np.ndarray], np.ndarray]
    reach: float


def _cubic(sharpness: float) -> Kernel:
    def weight(distance: np.ndarray) -> np.ndarray:
        t, a = np.abs(distance), sharpness
        inner = ((a + 2) * t - (a + 3)) * t**2 + 1
        return np.where(t < 1, inner, np.where(t < 2, a * (((t - 5) * t + 8) * t - 4), 0.0))

    return Kernel(weight, 2)


def _lanczos(distance: np.ndarray) -> np.ndarray:
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)


KERNELS = MappingProxyType(
    {
        "bilinear": Kernel(lambda distance: np.maximum(1 - np.abs(distance), 0), 1),
        "bicubic": _cubic(-0.5),
        "bicubic-opencv": _cubic(-0.75),
        "lanczos": Kernel(_lanczos, 3),
    }
)
"""Kernels by name: Keys's cubic with -0.5 is Pillow's and TensorFlow's, with -0.75 OpenCV's and
PyTorch's."""

NEAREST, AREA = "nearest", "area"
RESIZES = (*KERNELS, NEAREST, AREA)

GRIDS = ("centres", "corners", "first-pixel")
"""Where pixels lie: centres aligned; corner pixels aligned (`align_corners`); or the first pixels,
as TensorFlow 1 and LiteRT without `half_pixel_centers`, and OpenCV's nearest, have it."""

ROUNDINGS = ("no", "yes", "truncated")
"""Whether pixels are whole numbers again behind a resize: after each of its passes, as Pillow's
are, or cut off at the end."""


class Resize(NamedTuple):
    """How an image is resized.

    Attributes:
        kernel: one of `RESIZES`.
        antialias: whether the kernel is as wide as the pixels that become one.
        grid: one of `GRIDS`; antialiasing has centres aligned.
    """

    kernel: str = "bilinear"
    antialias: bool = True
    grid: str = GRIDS[0]


def resampled(image: np.ndarray, size: Size, how: Resize, rounded: str = "no") -> np.ndarray:
    """One image of another height and width.

    Args:
        image: ``(H, W, C)``.
        size: the new height and width.
        how: the kernel.
        rounded: one of `ROUNDINGS`.

    Returns:
        ``(*size, C)`` float64; the values themselves where it has the size.
    """
    found = image.astype(np.float64)
    for axis in (1, 0):  # Pillow 13 takes columns first of some sizes: within a level of it
        if found.shape[axis] != size[axis]:
            found = np.swapaxes(_along(np.swapaxes(found, 0, axis), size[axis], how), 0, axis)
            if rounded == "yes":
                found = np.clip(np.floor(found + 0.5), 0, 255)
    return np.clip(np.floor(found), 0, 255) if rounded == "truncated" else found


def _along(rows: np.ndarray, count: int, how: Resize) -> np.ndarray:
    """As many rows as are asked for, each a weighted sum of some of the old ones."""
    places, weights = _taps(len(rows), count, how)
    found = np.zeros((count, *rows.shape[1:]))
    for place, weight in zip(places.T, weights.T, strict=True):
        found += weight[:, None, None] * rows[place]
    return found


def _taps(old: int, new: int, how: Resize) -> tuple[np.ndarray, np.ndarray]:
    """Which old pixels make a new one, ``(new, taps)``, and the weight of each."""
    step, index = old / new, np.arange(new)
    centre = (index + 0.5) * step - 0.5
    if how.grid == "corners":
        centre = index * (old - 1) / max(new - 1, 1)
    elif how.grid == "first-pixel":
        centre = index * step
    if how.kernel == NEAREST:
        exact = np.floor(centre + (0.5 if how.grid != "first-pixel" else 0.0) + 1e-9)
        return np.clip(exact, 0, old - 1).astype(int)[:, None], np.ones((new, 1))
    if how.kernel == AREA:
        first = np.floor(index * step)
        places = first[:, None] + np.arange(int(np.ceil(step)) + 1)
        ends = np.minimum(places + 1, (index[:, None] + 1) * step)
        weights = np.maximum(ends - np.maximum(places, index[:, None] * step), 0)
        return np.clip(places, 0, old - 1).astype(int), weights / step
    kernel = KERNELS[how.kernel]
    wide = max(step, 1.0) if how.antialias else 1.0
    reach = kernel.reach * wide
    places = np.floor(centre - reach)[:, None] + np.arange(2 * int(np.ceil(reach)) + 2)
    weights = kernel.weight((places - centre[:, None]) / wide)
    if how.antialias:  # what lies outside has no weight; else the pixel at the border stands for it
        weights = np.where((places < 0) | (places >= old), 0.0, weights)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(places, 0, old - 1).astype(int), weights
