"""Dense layers, activation layers, merges and layers of the training alone, in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np

from conversion.core.spec import Layer
from conversion.proof.truth import activations
from conversion.proof.truth.normalization import constant

TRAINING_ONLY = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("GaussianDropout", "AlphaDropout"),
    *("GaussianNoise", "ActivityRegularization", "Identity", "RandomFlip", "RandomRotation"),
    *("RandomZoom", "RandomContrast", "RandomBrightness", "RandomTranslation"),
    *("RandomShear", "RandomPerspective", "RandomElasticTransform", "RandomErasing"),
    *("RandomHue", "RandomSaturation", "RandomColorDegeneration", "RandomColorJitter"),
    *("RandomGrayscale", "RandomInvert", "RandomPosterization", "RandomSharpness"),
    *("RandomGaussianBlur", "RandAugment", "AugMix", "CutMix", "MixUp", "Solarization"),
    *("MaxNumBoundingBoxes", "RandomCrop"),
)
"""Layers that give at inference what they get."""


def _weight(layer: Layer, role: str) -> np.ndarray:
    return layer.weights[role].astype(np.float64)


def _dense(layer: Layer, value: np.ndarray) -> np.ndarray:
    found = value @ _weight(layer, "kernel")
    return np.asarray(found + _weight(layer, "bias") if "bias" in layer.weights else found)


def _prelu(layer: Layer, value: np.ndarray) -> np.ndarray:
    return np.where(value >= 0, value, _weight(layer, "alpha") * value)


def _rescaling(layer: Layer, value: np.ndarray) -> np.ndarray:
    scale, offset = (constant(layer.config[key]) for key in ("scale", "offset"))
    return np.asarray(value * scale + offset)


def _merge(layer: Layer, *values: np.ndarray, join: Callable[..., Any]) -> np.ndarray:
    """Join values two at a time; one of fewer axes gets them in front, behind the batch."""
    rank = max(value.ndim for value in values)
    grown = (v.reshape(len(v), *[1] * (rank - v.ndim), *v.shape[1:]) for v in values)
    return np.asarray(reduce(join, grown))


def _average(layer: Layer, *values: np.ndarray) -> np.ndarray:
    return _merge(layer, *values, join=np.add) / len(values)


def _dot(layer: Layer, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The sum over one axis of each, image by image."""
    axes = layer.config["axes"]
    pair = (axes, axes) if isinstance(axes, int) else axes
    left, right = (axis % value.ndim for axis, value in zip(pair, (first, second), strict=True))
    if layer.config.get("normalize"):
        first, second = (
            v / np.maximum(np.sqrt(np.sum(v**2, axis=axis, keepdims=True)), 1e-7)
            for v, axis in ((first, left), (second, right))
        )
    images = zip(first, second, strict=True)
    found = np.stack([np.tensordot(a, b, axes=(left - 1, right - 1)) for a, b in images])
    return found.reshape(len(found), 1) if found.ndim == 1 else found


def _unchanged(layer: Layer, value: np.ndarray) -> np.ndarray:
    return value


def _function(kind: str) -> Callable[[Layer, np.ndarray], np.ndarray]:
    def compute(layer: Layer, value: np.ndarray) -> np.ndarray:
        return activations.LAYERS[kind](layer.config, value)

    return compute


LAYERS: dict[str, Callable[..., np.ndarray]] = {
    "Dense": _dense,
    "Activation": _unchanged,
    **{kind: _function(kind) for kind in ("ReLU", "LeakyReLU", "ELU")},
    "PReLU": _prelu,
    "Rescaling": _rescaling,
    "Add": partial(_merge, join=np.add),
    "Subtract": partial(_merge, join=np.subtract),
    "Multiply": partial(_merge, join=np.multiply),
    "Maximum": partial(_merge, join=np.maximum),
    "Minimum": partial(_merge, join=np.minimum),
    "Average": _average,
    "Concatenate": lambda layer, *values: np.concatenate(values, axis=layer.config["axis"]),
    "Dot": _dot,
    **dict.fromkeys(TRAINING_ONLY, _unchanged),
}
"""Layer class to its arithmetic, before the layer's own activation."""
