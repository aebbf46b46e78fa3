"""Padding, cropping and enlarging along the spatial axes, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from conversion.core.spec import Layer

Arithmetic = Callable[[Layer, np.ndarray], np.ndarray]


def each_axis(setting: Any, rank: int) -> tuple[int, ...]:
    """A setting for each spatial axis, which Keras 2 may write as one number."""
    return tuple(setting) if isinstance(setting, Sequence) else (setting,) * rank


def channels_last(compute: Arithmetic) -> Arithmetic:
    """A function of ``(N, ..., C)`` made to take a layer's own layout, whichever that is."""

    @wraps(compute)
    def turned(layer: Layer, value: np.ndarray) -> np.ndarray:
        if layer.config.get("data_format") != "channels_first":
            return compute(layer, value)
        return np.moveaxis(compute(layer, np.moveaxis(value, 1, -1)), -1, 1)

    return turned


def _borders(setting: Any, rank: int) -> list[tuple[int, int]]:
    """Before and after of each spatial axis: one number, or one a side, or two an axis."""
    if rank == 1:
        before, after = each_axis(setting, 2)
        return [(before, after)]
    return [(pair[0], pair[1]) for pair in (each_axis(each, 2) for each in each_axis(setting, 2))]


@channels_last
def _zero_padding(layer: Layer, value: np.ndarray) -> np.ndarray:
    pads = _borders(layer.config["padding"], value.ndim - 2)
    return np.pad(value, ((0, 0), *pads, (0, 0)))


@channels_last
def _cropping(layer: Layer, value: np.ndarray) -> np.ndarray:
    for axis, (before, after) in enumerate(_borders(layer.config["cropping"], value.ndim - 2), 1):
        value = np.take(value, range(before, value.shape[axis] - after), axis=axis)
    return value


@channels_last
def _up_sampling(layer: Layer, value: np.ndarray) -> np.ndarray:
    ways = COORDINATES[layer.config.get("coordinates", "half_pixel")]
    for axis, factor in enumerate(each_axis(layer.config["size"], value.ndim - 2), 1):
        if layer.config.get("interpolation") == "bilinear":
            value = _between(value, ways(value.shape[axis], factor), axis)
        else:
            value = np.repeat(value, factor, axis)
    return value


COORDINATES: dict[str, Callable[[int, int], np.ndarray]] = {
    "half_pixel": lambda size, factor: (np.arange(size * factor) + 0.5) / factor - 0.5,
    "asymmetric": lambda size, factor: np.arange(size * factor) / factor,
    "align_corners": lambda size, factor: np.linspace(0, size - 1, size * factor),
}
"""ONNX's names of how a position in the larger image is one in the smaller; Keras's the first."""


def _between(value: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Linear between the pixels, constant beyond the first and last one."""
    size = value.shape[axis]
    centres = np.clip(places, 0, size - 1)
    before = np.floor(centres).astype(int)
    after = np.minimum(before + 1, size - 1)
    share = (centres - before).reshape(-1, *[1] * (value.ndim - 1 - axis))
    near, far = np.take(value, before, axis), np.take(value, after, axis)
    return np.asarray(near * (1 - share) + far * share)


LAYERS: dict[str, Arithmetic] = {
    f"{name}{rank}D": function
    for rank in (1, 2, 3)
    for name, function in (
        ("ZeroPadding", _zero_padding),
        ("Cropping", _cropping),
        ("UpSampling", _up_sampling),
    )
}
"""Layer class to what it does."""
