"""The arithmetic of a user's own layer, checked as any answer from outside is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conversion.core.custom_layers import Custom, CustomLayer
from conversion.core.errors import NoTruth, UserError
from conversion.core.spec import Layer


def compute(own: CustomLayer, layer: Layer, values: Sequence[np.ndarray]) -> np.ndarray:
    """What the user's function gives.

    Args:
        own: the layer class, with its truth.
        layer: the layer.
        values: its inputs, ``(N, ...)`` float64.

    Returns:
        ``(N, ...)`` float64.

    Raises:
        NoTruth: the class has none.
        UserError: the output has another shape than its rule states.
    """
    if own.truth is None:
        raise NoTruth(
            f"layer '{layer.name}' is a {layer.kind}, for which the --custom file has no truth: "
            "parity cannot be judged"
        )
    weights = {role: array.astype(np.float64) for role, array in layer.weights.items()}
    found = np.asarray(own.truth(layer.config, weights, *values), dtype=np.float64)
    return _of_stated_shape(found, layer, values)


def by_keras(custom: Custom, layer: Layer, values: Sequence[np.ndarray]) -> np.ndarray:
    """What Keras gives for a layer that has no truth of its own, computed in float64.

    Args:
        custom: knows the process that runs Keras.
        layer: the layer.
        values: its inputs, ``(N, ...)`` float64.

    Returns:
        ``(N, ...)`` float64.

    Raises:
        NoTruth: the process is not known.
        UserError: Keras cannot compute it, or gives another shape than the reader states.
    """
    if custom.by_keras is None:
        raise NoTruth(f"layer '{layer.name}' is a {layer.kind}, whose truth is Keras in float64")
    return _of_stated_shape(custom.by_keras(layer, values), layer, values)


def _of_stated_shape(found: np.ndarray, layer: Layer, values: Sequence[np.ndarray]) -> np.ndarray:
    """What was computed, once it has the shape that the layer's rule states."""
    stated = (len(values[0]), *layer.shape)
    if len(found.shape) != len(stated) or any(
        size not in (None, given) for given, size in zip(found.shape, stated, strict=True)
    ):
        raise UserError(
            f"Expected the truth of {layer.kind} to give '{layer.name}' as {stated}, which is the "
            f"shape by its rule; it gives {found.shape}."
        )
    return found
