"""How wide synthetic inputs must be for a network's activations to do all that they can."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from conversion.core.errors import NoTruth
from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.standard.kinds import ceiling_of
from conversion.readers.schema import BY_KERAS

WIDTHS = (1.0, 4.0, 16.0)
"""Multiples of the suggested range that are tried: behind norms of trained statistics values of 2.7
are usual, and ReLU6 has its ceiling at 6."""

ENDS: Mapping[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}
"""Where functions of two ends saturate."""

NEAR = 1e-6
"""Distance from an end at which it is reached."""

Draw = Callable[[float], Mapping[str, np.ndarray]]


def width_for(spec: Spec, draw: Draw) -> float:
    """The least multiple of the suggested range in which fewest activations leave a part unused.

    Args:
        spec: the model.
        draw: gives a few inputs for a multiple: input name to ``(N, ...)``.
    """
    if any(layer.kind in BY_KERAS for layer in spec.layers):
        return WIDTHS[0]  # their truth is Keras's, in another process
    fewest, chosen = np.inf, WIDTHS[0]
    for width in WIDTHS:
        try:
            left = unused(spec, draw(width))
        except NoTruth:
            break
        if left < fewest:
            fewest, chosen = left, width
        if fewest == 0:
            break
    return chosen


def unused(spec: Spec, inputs: Mapping[str, np.ndarray]) -> float:
    """How many parts of activations no value comes to; infinity where a value is no number.

    A ReLU has two parts, with a ceiling three. A function of two ends is used where it is at
    neither for all values, and a layer with weights where it varies.

    Args:
        spec: the model.
        inputs: input name to ``(N, ...)``.
    """
    count, names = 0, [layer.name for layer in spec.layers]
    with np.errstate(all="ignore"):
        for layer, _, values in truth.walk(spec, inputs, names):
            if not all(np.isfinite(part).all() for part in values):
                return np.inf
            least = min(float(part.min()) for part in values)
            most = max(float(part.max()) for part in values)
            count += _unused(layer, least, most) + (bool(layer.weights) and not most > least)
    return count


def _unused(layer: Layer, least: float, most: float) -> int:
    if layer.kind == "ReLU" or layer.activation in ("relu", "relu6"):
        ceiling = ceiling_of(layer)
        return (least > 0) + (most <= 0) + (ceiling is not None and most < ceiling)
    if layer.activation in ENDS:
        low, high = ENDS[layer.activation]
        return most < low + NEAR or least > high - NEAR
    return 0
