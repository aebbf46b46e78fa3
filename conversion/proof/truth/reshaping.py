"""Layers that move values or resize images, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conversion.core.spec import Layer


def _flatten(layer: Layer, value: np.ndarray) -> np.ndarray:
    first = layer.config.get("data_format") == "channels_first"
    return (np.moveaxis(value, 1, -1) if first else value).reshape(len(value), -1)


def _reshape(layer: Layer, value: np.ndarray) -> np.ndarray:
    return value.reshape(len(value), *layer.config["target_shape"])


def _permute(layer: Layer, value: np.ndarray) -> np.ndarray:
    return value.transpose(0, *layer.config["dims"])


def _repeat(layer: Layer, value: np.ndarray) -> np.ndarray:
    return np.repeat(value[:, None, :], layer.config["n"], axis=1)


def _resizing(layer: Layer, value: np.ndarray) -> np.ndarray:
    """One axis after the other; the centres of pixels lie at halves, outside is the last pixel."""
    first = layer.config.get("data_format") == "channels_first"
    rows = 2 if first else 1
    for axis, size in ((rows, layer.config["height"]), (rows + 1, layer.config["width"])):
        if layer.config.get("interpolation", "bilinear") == "nearest":
            value = np.take(value, _nearest(value.shape[axis], size), axis=axis)
        else:
            value = _bilinear(value, axis, size)
    return value


def _nearest(before: int, after: int) -> np.ndarray:
    """The pixel that each new one is: a discrete choice, made in float32 as TensorFlow makes it."""
    scale = np.float32(before) / np.float32(after)
    places = (np.arange(after, dtype=np.float32) + np.float32(0.5)) * scale
    return np.asarray(np.minimum(np.floor(places).astype(int), before - 1))


def _bilinear(value: np.ndarray, axis: int, size: int) -> np.ndarray:
    before = value.shape[axis]
    places = (np.arange(size) + 0.5) * before / size - 0.5
    lower = np.floor(places)
    shape = [1] * value.ndim
    shape[axis] = size
    share = (places - lower).reshape(shape)
    below, above = (
        np.take(value, np.clip(index, 0, before - 1).astype(int), axis=axis)
        for index in (lower, lower + 1)
    )
    return np.asarray(below + (above - below) * share)


LAYERS: dict[str, Callable[..., np.ndarray]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "RepeatVector": _repeat,
    "Resizing": _resizing,
}
"""Layer class to its arithmetic."""
