"""What right float32 runtimes round differently, as a plain one computes it.

Where the mean is many times the spread, `x * scale - mean * scale` is a small difference of large
numbers, and a sum of many values is off by as much as their order makes it; an `erf` is as exact as
its polynomial. Keras may happen to lose less than another right runtime does: a layer of one value,
whose mean is the value itself, is exact in Keras. What is lost here is rounding, whoever computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.truth import activations, normalization
from conversion.proof.truth.normalization import constant


def _sum(value: np.ndarray) -> np.ndarray:
    """The sum over the last axis of ``(..., n)``, one value after another, ``(..., 1)``."""
    return np.add.accumulate(value, axis=-1, dtype=np.float32)[..., -1:]


def _normal(layer: Layer, value: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Values normalised over the last axis; scale and offset broadcast with ``(..., n)``."""
    count = np.float32(value.shape[-1])
    mean = _sum(value) / count
    variance = _sum(np.square(value - mean)) / count
    scale = gamma / np.sqrt(variance + np.float32(layer.config["epsilon"]))
    return np.asarray(value * scale + (beta - mean * scale), np.float32)


def _over(layer: Layer, value: np.ndarray, over: Sequence[int], own: Sequence[int]) -> np.ndarray:
    """Normalise over some axes.

    Args:
        layer: whose weights and epsilon are taken.
        value: ``(N, ...)`` float64.
        over: the axes, counted from 0.
        own: the axes that the scale and the offset have.
    """
    kept = [axis for axis in range(value.ndim) if axis not in over]
    order = [*kept, *over]
    moved = value.astype(np.float32).transpose(order)
    rows = (*moved.shape[: len(kept)], -1)
    sizes = [size if axis in own else 1 for axis, size in enumerate(value.shape)]
    scale, offset = (
        np.broadcast_to(
            np.asarray(layer.weights.get(role, [none]), np.float32).reshape(
                sizes if role in layer.weights else [1] * value.ndim
            ),
            value.shape,
        )
        .transpose(order)
        .reshape(rows)
        for role, none in (("gamma", 1.0), ("beta", 0.0))
    )
    normal = _normal(layer, moved.reshape(rows), scale, offset).reshape(moved.shape)
    return normal.transpose(np.argsort(order)).astype(np.float64)


def _layer_norm(layer: Layer, value: np.ndarray) -> np.ndarray:
    axis = layer.config.get("axis", -1)
    axes = sorted(a % value.ndim for a in (axis if isinstance(axis, list | tuple) else [axis]))
    return _over(layer, value, axes, axes)


def _group_norm(layer: Layer, value: np.ndarray) -> np.ndarray:
    axis = layer.config["axis"] % value.ndim
    channels = value.shape[axis]
    groups = channels if layer.config["groups"] == -1 else layer.config["groups"]
    moved = np.moveaxis(value, axis, -1)
    grouped = moved.reshape(*moved.shape[:-1], groups, channels // groups)
    over = [each for each in range(1, grouped.ndim) if each != grouped.ndim - 2]
    normal = _over(layer, grouped, over, (grouped.ndim - 2, grouped.ndim - 1))
    return np.moveaxis(normal.reshape(moved.shape), -1, axis)


FAR = 8.0
"""Times its deviation that a mean is from 0 where a difference of products loses digits: three."""


def _normalization(layer: Layer, value: np.ndarray) -> np.ndarray:
    """By constants, with the mean multiplied once for all."""
    if layer.config.get("invert"):
        return normalization.LAYERS["Normalization"](layer, value)
    zeros = np.zeros_like(value[:1])
    offset = normalization.LAYERS["Normalization"](layer, zeros)
    scale = normalization.LAYERS["Normalization"](layer, zeros + 1.0) - offset
    product = value.astype(np.float32) * scale.astype(np.float32)
    return np.asarray(product + offset.astype(np.float32), np.float64)


ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
"""Of the polynomial for `erf` by Abramowitz and Stegun (1964), 7.1.26, which is off by 1.5e-7."""


def _erf(value: np.ndarray) -> np.ndarray:
    size = np.abs(value)
    part = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * size)
    sum_ = np.zeros_like(part)
    for factor in ERF:
        sum_ = (sum_ + np.float32(factor)) * part
    return np.asarray(np.sign(value) * (np.float32(1) - sum_ * np.exp(-size * size)))


def _is_gelu(layer: Layer) -> bool:
    """Whether its activation is the GELU by `erf`."""
    setting = layer.applied
    if isinstance(setting, Mapping):
        return setting["class_name"] == "GELU" and not setting["config"].get("approximate")
    return bool(setting == "gelu")


def activate(layer: Layer, value: np.ndarray) -> np.ndarray:
    """What a layer's own activation makes of its values, as `activations.activate`."""
    if not _is_gelu(layer):
        return activations.activate(layer, value)
    half = np.float32(0.5) * value.astype(np.float32)
    return np.asarray(half + half * _erf((value / np.sqrt(2.0)).astype(np.float32)), np.float64)


def rounds(spec: Spec) -> bool:
    """Whether a model has what right runtimes round differently."""
    return any(
        layer.kind in ("LayerNormalization", "GroupNormalization")
        or (layer.kind == "Normalization" and _is_far(layer))
        or (layer.inputs and layer.kind not in spec.custom.layers and _is_gelu(layer))
        for layer in spec.layers
    )


def _is_far(layer: Layer) -> bool:
    mean, variance = (
        np.asarray(layer.weights[role] if role in layer.weights else constant(layer.config[role]))
        for role in ("mean", "variance")
    )
    return bool(np.any(np.abs(mean) > FAR * np.sqrt(np.maximum(variance, 0))))


LAYERS: dict[str, Callable[[Layer, np.ndarray], np.ndarray]] = {
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "Normalization": _normalization,
}
"""Layer class to its arithmetic."""
