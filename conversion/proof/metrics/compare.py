"""The one comparison of arrays; everything that compares outputs goes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.proof.metrics import limits

View = Callable[[np.ndarray], np.ndarray]

PROBABILITY_FLOOR = 1e-30
"""Probabilities below it are compared as equal to it: float32 loses digits below 1.2e-38."""

FLAT = 1e-6
"""Outputs that vary over the images by less than this part of their rms say nothing."""


class Incomparable(Exception):
    """The candidate's outputs cannot be compared, which is a failure of the candidate."""


class NoPower(Exception):
    """The reference's outputs are such that agreement with them would mean nothing."""


@dataclass(frozen=True, eq=False)
class Difference:
    """How far one output of a candidate lies from the reference, after the view.

    Attributes:
        output: the output's name.
        n: number of images.
        rms: over everything.
        channels: rms by last axis, ``(C,)``.
        images: rms by image, ``(N,)``.
        largest: the largest absolute difference.
        spread: standard deviation of the reference over the images, pooled.
        level: rms of the reference.
    """

    output: str
    n: int
    rms: float
    channels: np.ndarray
    images: np.ndarray
    largest: float
    spread: float
    level: float

    @property
    def noise(self) -> float:
        """The rms as rounding noise, which is never less than half a unit in the last place."""
        return max(self.rms, limits.LEAST_ERROR.value * self.level)


def identity(value: np.ndarray) -> np.ndarray:
    """Values as they are."""
    return value


def centred_log(value: np.ndarray) -> np.ndarray:
    """Probabilities ``(N, ..., C)`` as logarithms less their mean over the classes, float64.

    Softmax forgets what is added to every logit, so this is what a file of probabilities says of
    its logits.
    """
    logs = np.log(np.maximum(value.astype(np.float64), PROBABILITY_FLOOR))
    return np.asarray(logs - logs.mean(axis=-1, keepdims=True))


HELD = 2.0**-6
"""Sigmoid outputs are compared no closer to 0 and 1: near 1 float32 keeps 2^-24 of a probability,
and runtimes compute a sigmoid to so much of 1, not of itself."""


def log_odds(value: np.ndarray) -> np.ndarray:
    """Sigmoid outputs as the logarithm of their odds, float64, held off both ends."""
    held = np.clip(value.astype(np.float64), HELD, 1 - HELD)
    return np.asarray(np.log(held) - np.log1p(-held))


VIEWS: dict[str, View] = {"softmax": centred_log, "sigmoid": log_odds, "none": identity}
"""Head to the view in which its outputs are compared."""


def compare(
    reference: Mapping[str, np.ndarray],
    candidate: Mapping[str, np.ndarray],
    views: Mapping[str, View] | None = None,
    dtype: np.dtype | type | None = None,
    known: Mapping[str, Difference] | None = None,
) -> tuple[Difference, ...]:
    """Compare the outputs of a candidate with those of a reference.

    Args:
        reference: output name to ``(N, ...)``.
        candidate: the same names in the same order.
        views: output name to the view in which both sides are compared; identity by default.
        dtype: the dtype that the candidate must have; the reference's by default.
        known: differences of others from the very same reference in the same view, whose level and
            spread are not measured again.

    Returns:
        One difference an output, in the reference's order.

    Raises:
        Incomparable: another count or other names of outputs, another shape or dtype, NaN or Inf
            in the candidate.
        NoPower: no outputs, an empty batch, NaN or Inf in the reference, or outputs so flat that
            agreement would mean nothing.
    """
    if not reference:
        raise NoPower("the reference has no outputs")
    if list(reference) != list(candidate):
        raise Incomparable(f"outputs should be {list(reference)}; they are {list(candidate)}")
    pairs = zip(reference.items(), candidate.values(), strict=True)
    return tuple(
        _difference(
            name, ours, theirs, (views or {}).get(name, identity), dtype, (known or {}).get(name)
        )
        for (name, ours), theirs in pairs
    )


def uncompared(about: About, what: Quantity, error: Incomparable | NoPower) -> Measurement:
    """What stands where nothing could be compared: a failure, or that nothing is decided."""
    if isinstance(error, Incomparable):
        return about.measure(what, reason=str(error), verdict=Verdict.FAIL)
    return about.measure(what, reason=f"no power: {error}", verdict=Verdict.UNDECIDED)


def odd_one(reference: Mapping[str, np.ndarray], candidate: Mapping[str, np.ndarray]) -> str:
    """What makes outputs not finite or not the very same, for where rounding has no say.

    Args:
        reference: output name to array.
        candidate: must hold the same names in the same order, and the same bytes.

    Returns:
        What differs, in words; empty where nothing does.
    """
    if list(reference) != list(candidate):
        return f"outputs should be {list(reference)}; they are {list(candidate)}"
    for name, ours in reference.items():
        theirs = candidate[name]
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            return (
                f"output '{name}' should be {ours.dtype} {ours.shape}; it is {theirs.dtype} "
                f"{theirs.shape}"
            )
        if not np.isfinite(theirs).all():
            return f"output '{name}' is not finite"
        if ours.tobytes() != theirs.tobytes():
            return f"output '{name}' differs"
    return ""


def _difference(
    name: str,
    reference: np.ndarray,
    candidate: np.ndarray,
    view: View,
    dtype: np.dtype | type | None,
    known: Difference | None,
) -> Difference:
    if reference.shape != candidate.shape:
        raise Incomparable(
            f"output '{name}' should have the shape {reference.shape}; it has {candidate.shape}"
        )
    wanted = np.dtype(reference.dtype if dtype is None else dtype)
    if candidate.dtype != wanted:
        raise Incomparable(f"output '{name}' should be {wanted}; it is {candidate.dtype}")
    if reference.size == 0:
        raise NoPower(f"output '{name}' has no elements to compare")
    if known is None and not np.isfinite(reference).all():
        raise NoPower(f"the reference's output '{name}' is not finite")
    if not np.isfinite(candidate).all():
        count = int(np.count_nonzero(~np.isfinite(candidate)))
        raise Incomparable(f"output '{name}' has {count} values that are NaN or Inf")
    ours = np.asarray(view(reference), dtype=np.float64)
    error = np.asarray(view(candidate), dtype=np.float64) - ours
    level, spread = (known.level, known.spread) if known else _level_and_spread(ours)
    if spread <= FLAT * level or spread == 0.0:
        raise NoPower(f"output '{name}' hardly varies (spread {spread:.2g}, level {level:.2g})")
    shaped = error.reshape(len(error), -1, error.shape[-1] if error.ndim > 1 else 1)
    images = np.einsum("npc,npc->n", shaped, shaped)
    channels = np.einsum("npc,npc->c", shaped, shaped)
    return Difference(
        output=name,
        n=len(error),
        rms=float(np.sqrt(images.sum() / error.size)),
        channels=np.sqrt(channels * len(channels) / error.size),
        images=np.sqrt(images * len(images) / error.size),
        largest=float(max(error.max(), -error.min())),
        spread=spread,
        level=level,
    )


def _level_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Rms, and the standard deviation over the images."""
    level = float(np.sqrt(np.mean(values**2)))
    over = float(np.sqrt(np.mean(values.var(axis=0)))) if len(values) > 1 else float(values.std())
    return level, over
