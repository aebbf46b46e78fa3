"""Activations in float64, written from their definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conversion.core.spec import Layer

Function = Callable[[np.ndarray], np.ndarray]
Settings = Mapping[str, Any]

SELU = (1.6732632423543772, 1.0507009873554805)
"""Alpha and scale (Klambauer et al. 2017, "Self-Normalizing Neural Networks", appendix A)."""


def relu(config: Settings, value: np.ndarray) -> np.ndarray:
    """Keras's ReLU layer with all of its parameters."""
    threshold, slope = config.get("threshold") or 0.0, config.get("negative_slope") or 0.0
    if threshold or slope:
        # A value at the threshold itself becomes 0 in Keras: whole numbers meet it.
        result = np.where(value > threshold, value, slope * (value - threshold))
    else:
        result = np.maximum(value, 0.0)
    if config.get("max_value") is not None:
        np.minimum(result, config["max_value"], out=result)
    return result


def leaky_relu(config: Settings, value: np.ndarray) -> np.ndarray:
    """Keras's LeakyReLU layer; Keras 2 calls the slope alpha, and 0.3 is the default of both."""
    slope = config.get("negative_slope", config.get("alpha", 0.3))
    return np.where(value >= 0, value, float(slope) * value)


def elu(config: Settings, value: np.ndarray) -> np.ndarray:
    """``alpha (exp(x) - 1)`` below 0."""
    alpha = float(config.get("alpha", 1.0))
    return np.where(value > 0, value, alpha * np.expm1(np.minimum(value, 0.0)))


def softmax(config: Settings, value: np.ndarray) -> np.ndarray:
    """Over one axis or over several of them together."""
    setting = config.get("axis", -1)
    axes = tuple(setting) if isinstance(setting, list | tuple) else (setting,)
    shifted = np.exp(value - value.max(axis=axes, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axes, keepdims=True))


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * value))


def _softplus(value: np.ndarray) -> np.ndarray:
    return np.asarray(np.logaddexp(0.0, value))


def _gelu(value: np.ndarray) -> np.ndarray:
    """Keras's default is the exact one (Hendrycks and Gimpel 2016), not that by tanh."""
    from scipy.special import erf

    return np.asarray(0.5 * value * (1.0 + erf(value / np.sqrt(2.0))))


def gelu(config: Settings, value: np.ndarray) -> np.ndarray:
    """Either GELU; that by tanh, which no layer of Keras's states, is what a file may have."""
    if not config.get("approximate"):
        return _gelu(value)
    inner = np.sqrt(2.0 / np.pi) * (value + 0.044715 * value * value * value)
    return np.asarray(0.5 * value * (1.0 + np.tanh(inner)))


def _glu(value: np.ndarray) -> np.ndarray:
    """The first half of the last axis, gated by the second (Dauphin et al. 2016)."""
    first, second = np.split(value, 2, axis=-1)
    return np.asarray(first * _sigmoid(second))


def _hard_sigmoid(value: np.ndarray) -> np.ndarray:
    """Keras 3's; what Keras 2 computed under this name has another one here."""
    return np.clip(value + 3.0, 0.0, 6.0) / 6.0


def _log_softmax(value: np.ndarray) -> np.ndarray:
    shifted = value - value.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _sparse_plus(value: np.ndarray) -> np.ndarray:
    return np.where(value <= -1, 0.0, np.where(value < 1, 0.25 * (value + 1) ** 2, value))


def _sparsemax(value: np.ndarray) -> np.ndarray:
    """Keras's: where two values or more are in the support, no projection onto the simplex.

    Martins and Astudillo 2016 (algorithm 1) subtract the mean excess of the support's values;
    Keras 3.15 on TensorFlow adds up their running sums in its place.
    """
    ordered = np.flip(np.sort(value, axis=-1), axis=-1)
    sums = np.cumsum(ordered, axis=-1)
    support = np.arange(1, value.shape[-1] + 1) * ordered > sums - 1.0
    total = np.sum(sums, axis=-1, where=support, keepdims=True)
    threshold = (total - 1.0) / support.sum(axis=-1, keepdims=True)
    return np.asarray(np.maximum(value - threshold, 0.0))


def _silu(value: np.ndarray) -> np.ndarray:
    return np.asarray(value * _sigmoid(value))


def _hard_silu(value: np.ndarray) -> np.ndarray:
    return np.asarray(value * _hard_sigmoid(value))


LAYERS: dict[str, Callable[[Settings, np.ndarray], np.ndarray]] = {
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "GELU": gelu,
    "Softmax": softmax,
}
"""Layer class to its function of settings and value; it may stand in place of a name too."""

ACTIVATIONS: dict[str, Function] = {
    "linear": lambda value: value,
    "relu": lambda value: np.maximum(value, 0.0),
    "relu6": lambda value: np.clip(value, 0.0, 6.0),
    "leaky_relu": lambda value: np.where(value >= 0, value, 0.2 * value),
    "elu": lambda value: elu({}, value),
    "selu": lambda value: SELU[1] * elu({"alpha": SELU[0]}, value),
    "celu": lambda value: elu({}, value),  # with alpha 1, which is its default, the same
    "gelu": _gelu,
    "silu": _silu,
    "swish": _silu,
    "mish": lambda value: value * np.tanh(_softplus(value)),
    "glu": _glu,
    "exponential": np.exp,
    "softplus": _softplus,
    "softsign": lambda value: value / (1.0 + np.abs(value)),
    "squareplus": lambda value: 0.5 * (value + np.sqrt(value**2 + 4.0)),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hard_sigmoid": _hard_sigmoid,
    "hard_sigmoid_of_keras_2": lambda value: np.clip(0.2 * value + 0.5, 0.0, 1.0),
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
    "hard_tanh": lambda value: np.clip(value, -1.0, 1.0),
    "hard_shrink": lambda value: np.where(np.abs(value) > 0.5, value, 0.0),
    "soft_shrink": lambda value: np.sign(value) * np.maximum(np.abs(value) - 0.5, 0.0),
    "tanh_shrink": lambda value: value - np.tanh(value),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda value: np.clip(0.5 * (value + 1.0), 0.0, 1.0),
    "sparsemax": _sparsemax,
    "log_sigmoid": lambda value: -_softplus(-value),
    "softmax": lambda value: softmax({}, value),
    "log_softmax": _log_softmax,
}
"""Activation name to its function, with Keras's default parameters."""


def activate(layer: Layer, value: np.ndarray) -> np.ndarray:
    """What a layer's own activation makes of its values.

    Args:
        layer: any layer but Softmax; its settings may name an activation or hold a layer.
        value: ``(N, ...)`` float64.
    """
    setting = layer.applied
    if isinstance(setting, Mapping):
        return LAYERS[setting["class_name"]](setting["config"], value)
    return ACTIVATIONS[setting](value)
