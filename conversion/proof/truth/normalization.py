"""Layers that normalise, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from conversion.core.spec import Layer


def _weight(layer: Layer, role: str) -> np.ndarray:
    return layer.weights[role].astype(np.float64)


def constant(value: Any) -> np.ndarray:
    """A number or a list of them; Keras 3 wraps an array in a mapping."""
    return np.asarray(value["config"]["value"] if isinstance(value, Mapping) else value, np.float64)


def _along(array: np.ndarray, axes: Sequence[int], value: np.ndarray) -> np.ndarray:
    """An array of the sizes of some axes, ready to be combined with the whole value."""
    kept = {axis % value.ndim for axis in axes}
    return array.reshape([size if i in kept else 1 for i, size in enumerate(value.shape)])


def _scaled(layer: Layer, axes: Sequence[int], value: np.ndarray) -> np.ndarray:
    """A layer's own array with its scale and offset, in place."""
    if "gamma" in layer.weights:
        value *= _along(_weight(layer, "gamma"), axes, value)
    if "beta" in layer.weights:
        value += _along(_weight(layer, "beta"), axes, value)
    return value


def _axes(layer: Layer) -> list[int]:
    axis = layer.config.get("axis", -1)
    return sorted(axis) if isinstance(axis, list | tuple) else [axis]


def _batch_norm(layer: Layer, value: np.ndarray) -> np.ndarray:
    axes = _axes(layer)
    mean, variance = (
        _along(_weight(layer, role), axes, value) for role in ("moving_mean", "moving_variance")
    )
    normal = value - mean
    normal /= np.sqrt(variance + layer.config["epsilon"])
    return _scaled(layer, axes, normal)


def _layer_norm(layer: Layer, value: np.ndarray) -> np.ndarray:
    axes = _axes(layer)
    over = tuple(axes)
    centred = value - value.mean(axis=over, keepdims=True)
    variance = np.mean(centred**2, axis=over, keepdims=True)
    return _scaled(layer, axes, centred / np.sqrt(variance + layer.config["epsilon"]))


def _group_norm(layer: Layer, value: np.ndarray) -> np.ndarray:
    axis = layer.config["axis"] % value.ndim
    channels = value.shape[axis]
    groups = channels if layer.config["groups"] == -1 else layer.config["groups"]
    normal = np.empty_like(value)
    for some in np.split(np.arange(channels), groups):
        part = np.take(value, some, axis=axis)
        over = tuple(range(1, value.ndim))
        centred = part - part.mean(axis=over, keepdims=True)
        variance = np.mean(centred**2, axis=over, keepdims=True)
        index = (slice(None),) * axis + (some,)
        normal[index] = centred / np.sqrt(variance + layer.config["epsilon"])
    return _scaled(layer, [axis], normal)


def _unit_norm(layer: Layer, value: np.ndarray) -> np.ndarray:
    norm = np.sqrt(np.sum(value**2, axis=tuple(_axes(layer)), keepdims=True))
    return np.asarray(value / np.maximum(norm, 1e-12))  # Keras's constant


def _normalization(layer: Layer, value: np.ndarray) -> np.ndarray:
    config = layer.config
    axis = config.get("axis", -1)
    listed = [] if axis is None else axis if isinstance(axis, list | tuple) else [axis]
    kept = sorted(each % value.ndim for each in listed)
    sizes = [value.shape[each] for each in kept]
    mean, variance = (
        _along(
            _weight(layer, role)
            if role in layer.weights
            else np.broadcast_to(constant(config[role]), sizes),
            kept,
            value,
        )
        for role in ("mean", "variance")
    )
    spread = np.maximum(np.sqrt(variance), 1e-7)  # Keras's epsilon
    if config.get("invert"):
        return np.asarray(value * spread + mean)
    return np.asarray((value - mean) / spread)


LAYERS: dict[str, Callable[..., np.ndarray]] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "UnitNormalization": _unit_norm,
    "Normalization": _normalization,
}
"""Layer class to its arithmetic."""
