"""What a kernel and a bias become when the layers after them are folded in, by our own formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.core.spec import Layer


@dataclass(frozen=True, eq=False)
class Affine:
    """``factor * x + offset`` for each channel, in float64.

    Attributes:
        factor: ``(C,)`` or one number.
        offset: ``(C,)`` or one number.
        terms: the sum of the absolute terms of which the offset is made: what its rounding is
            relative to, since the terms may cancel.
    """

    factor: np.ndarray
    offset: np.ndarray
    terms: np.ndarray

    def then(self, after: Affine) -> Affine:
        """This one first, another one on its result."""
        return Affine(
            self.factor * after.factor,
            self.offset * after.factor + after.offset,
            self.terms * np.abs(after.factor) + after.terms,
        )

    def fits(self, channels: int) -> bool:
        """Whether it has one number, or one for each of so many channels."""
        return {self.factor.size, self.offset.size} <= {1, channels}


def identity(bias: np.ndarray | float = 0.0) -> Affine:
    """Adding a bias and nothing else."""
    offset = np.asarray(bias, np.float64)
    return Affine(_ONE, offset, np.abs(offset))


def scaled(factor: np.ndarray | float) -> Affine:
    """Multiplying with a factor and nothing else."""
    return Affine(np.asarray(factor, np.float64), np.zeros(()), np.zeros(()))


def affine(layer: Layer) -> Affine:
    """What a BatchNormalization, Rescaling or Normalization layer does.

    Raises:
        KeyError: the layer is of another kind, or a weight is missing.
    """
    if layer.kind == "Rescaling":
        factor, offset = (np.asarray(_plain(layer.config[k]), np.float64) for k in _RESCALING)
        return Affine(factor, offset, np.abs(offset))
    if layer.kind == "Normalization":
        return _standardised(layer)
    mean, variance, gamma, beta = statistics(layer, np.float64)
    return normalised(mean, variance, gamma, beta, float(layer.config["epsilon"]))


def _standardised(layer: Layer) -> Affine:
    """``(x - mean) / max(sqrt(variance), 1e-7)``, or its inverse: Keras's Normalization."""
    mean, variance = (
        np.squeeze(np.asarray(layer.weights.get(k, _plain(layer.config.get(k))), np.float64))
        for k in ("mean", "variance")
    )
    spread = np.maximum(np.sqrt(variance), 1e-7)
    if layer.config.get("invert"):
        return Affine(spread, mean, np.abs(mean))
    return Affine(1 / spread, -mean / spread, np.abs(mean / spread))


def normalised(
    mean: np.ndarray, variance: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float
) -> Affine:
    """Batch normalization from its statistics, in float64."""
    mean, variance, gamma, beta = (
        np.asarray(each, np.float64) for each in (mean, variance, gamma, beta)
    )
    factor = gamma / np.sqrt(variance + epsilon)
    return Affine(factor, beta - mean * factor, np.abs(beta) + np.abs(mean * factor))


def statistics(layer: Layer, dtype: type[np.floating[Any]]) -> tuple[np.ndarray, ...]:
    """Mean, variance, gamma and beta of a BatchNormalization; 1 and 0 where it has none."""
    weights = layer.weights
    mean = weights["moving_mean"].astype(dtype)
    gamma, beta = (
        weights[role].astype(dtype) if role in weights else np.full_like(mean, neutral)
        for role, neutral in (("gamma", 1.0), ("beta", 0.0))
    )
    return mean, weights["moving_variance"].astype(dtype), gamma, beta


def folded_in_float32(
    kernel: np.ndarray, bias: np.ndarray | None, layer: Layer
) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch's way of folding a BatchNormalization, rounded to float32 after every step.

    Args:
        kernel: ``(O, ...)`` float32.
        bias: ``(O,)`` float32; None where there is none.
        layer: the BatchNormalization.
    """
    mean, variance, gamma, beta = statistics(layer, np.float32)
    inverse = np.float32(1.0) / np.sqrt(variance + np.float32(layer.config["epsilon"]))
    first = np.zeros_like(mean) if bias is None else bias
    return (
        kernel * along(gamma * inverse, kernel.ndim, 0),
        (first - mean) * inverse * gamma + beta,
    )


def along(values: np.ndarray, rank: int, axis: int) -> np.ndarray:
    """One value a channel, shaped to be multiplied with an array along one of its axes."""
    values = np.asarray(values)
    if values.ndim == 0:
        return values
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def per_channel(value: np.ndarray) -> np.ndarray:
    """A constant as one number or one number a channel, in float64.

    Raises:
        ValueError: it varies along more than one axis.
    """
    wide = [size for size in value.shape if size != 1]
    if len(wide) > 1:
        raise ValueError(f"a constant of the shape {value.shape} where one a channel was expected")
    flat = value.astype(np.float64).reshape(-1)
    return flat if flat.size > 1 else flat.reshape(())


def roundings(found: np.ndarray, expected: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """How far values are from what they should be, in units in the last place of float32.

    Args:
        found: as the file has them.
        expected: in float64.
        terms: the size that rounding is relative to; of its last place is the unit.

    Returns:
        The distances; infinite where a value is not finite.
    """
    unit = np.spacing(np.abs(terms).astype(np.float32)).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.abs(np.asarray(found, np.float64) - expected) / unit
    return np.where(np.isfinite(distance), distance, np.inf)


def _plain(value: Any) -> Any:
    """A constant of a configuration; Keras 3 wraps an array."""
    return value["config"]["value"] if isinstance(value, Mapping) else value


_RESCALING = ("scale", "offset")
_ONE = np.ones(())
