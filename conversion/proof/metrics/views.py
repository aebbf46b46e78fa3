"""How outputs are looked at before they are compared: as they are, or as logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

PROBABILITY_FLOOR = 1e-30
"""Probabilities below it are compared as equal to it: float32 loses digits below 1.2e-38."""


@dataclass(frozen=True)
class View:
    """How outputs are looked at; a view may be called as a function of an array.

    Attributes:
        function: of an array, of the same shape.
        low: values below it are looked at as equal to it, so that they show no error.
        high: the same of values above it.
        flat: whether values that hardly vary may be compared, since what they are of is, too.
    """

    function: Callable[[np.ndarray], np.ndarray]
    low: float = -np.inf
    high: float = np.inf
    flat: bool = False

    def __call__(self, value: np.ndarray) -> np.ndarray:
        """The values as they are compared."""
        if self.low > -np.inf:
            value = np.clip(value.astype(np.float64), self.low, self.high)
        return self.function(value)

    def showing(self, value: np.ndarray) -> np.ndarray:
        """Which values can show rounding: those held nowhere, and not cut to 0 as by ReLU."""
        return np.asarray((value != 0) & (value > self.low) & (value < self.high))


HELD = 2.0**-6
"""Sigmoid outputs are compared no closer to 0 and 1: near 1 float32 keeps 2^-24 of a probability,
and runtimes compute a sigmoid to so much of 1, not of itself."""


def _centred(value: np.ndarray) -> np.ndarray:
    return np.asarray(value - value.mean(axis=-1, keepdims=True))


def _centred_log(value: np.ndarray) -> np.ndarray:
    return _centred(np.log(value))


def _log_odds(value: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(value) - np.log1p(-value))


identity = View(lambda value: value)
"""Values as they are."""

centred_log = View(_centred_log, PROBABILITY_FLOOR)
"""Probabilities ``(N, ..., C)`` as logarithms less their mean over the classes, float64: softmax
forgets what is added to every logit, so this is what a file of probabilities says of its logits."""

log_odds = View(_log_odds, HELD, 1 - HELD)
"""Sigmoid outputs as the logarithm of their odds, float64, held off both ends."""

FIXED = View(lambda value: value, flat=True)
"""Values as they are, be they the same for every image."""

SATURATED = "saturated"
"""Head of probabilities that hardly vary, whose logits are compared beside them."""

LOGITS = "logits"
"""Head of what a softmax reads."""

VIEWS: dict[str, View] = {
    "softmax": centred_log,
    "sigmoid": log_odds,
    LOGITS: View(_centred),
    SATURATED: View(lambda value: value + 1.0, flat=True),  # rounding is a part of 1, not of 1e-9
    "none": identity,
}
"""Head to the view in which its outputs are compared."""


def views_of(heads: Mapping[str, str]) -> dict[str, View]:
    """Output name to the view in which it is compared, by what it means."""
    return {name: VIEWS[head] for name, head in heads.items()}
