"""Layers that Keras keeps beside its applications, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conversion.core.spec import Layer


def _layer_scale(layer: Layer, value: np.ndarray) -> np.ndarray:
    return np.asarray(value * layer.weights["gamma"].astype(np.float64))


def _scaled_sum(layer: Layer, shortcut: np.ndarray, residual: np.ndarray) -> np.ndarray:
    return np.asarray(shortcut + float(layer.config["scale"]) * residual)


LAYERS: dict[str, Callable[..., np.ndarray]] = {
    "LayerScale": _layer_scale,
    "CustomScaleLayer": _scaled_sum,
    "StochasticDepth": lambda layer, value: value,
}
"""Layer class to its arithmetic."""
