"""One layer of a Keras model, rebuilt to compute in float64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from conversion.reference.network import called, found_in

IMAGES = 50
"""Images that are computed at a time."""


class Float64Layer:
    """A layer with the settings and the call of one in a model, in float64 throughout."""

    def __init__(self, model: Any, path: Sequence[str]) -> None:
        """Rebuild it.

        Args:
            model: opened by Keras.
            path: names from the model to the layer.
        """
        self._first = found_in(model, path)
        with _float64():
            self._layer = type(self._first).from_config(_widened(self._first.get_config()))
        self._run = tf.function(self._call, reduce_retracing=True)

    def output(self, weights: Sequence[np.ndarray], inputs: Sequence[np.ndarray]) -> np.ndarray:
        """What it gives.

        Args:
            weights: in Keras's order.
            inputs: each ``(N, ...)``.

        Raises:
            TypeError: something in it computes in another type.
        """
        parts: list[np.ndarray] = []
        with _float64():
            for start in range(0, len(inputs[0]), IMAGES):
                given = [tf.constant(a[start : start + IMAGES], tf.float64) for a in inputs]
                if not self._layer.built:
                    called(self._layer, given, self._first)
                if not parts:
                    self._layer.set_weights(
                        [
                            np.asarray(each, np.float64).reshape(variable.shape)
                            for each, variable in zip(weights, self._layer.weights, strict=True)
                        ]
                    )
                parts.append(self._run(given).numpy())
        types = {str(each.dtype) for each in (*self._layer.weights, *parts)}
        if types != {"float64"}:
            raise TypeError(f"{type(self._layer).__name__} computes in {sorted(types)}")
        return np.concatenate(parts)

    def _call(self, given: Sequence[Any]) -> Any:
        return called(self._layer, given, self._first)


@contextmanager
def _float64() -> Iterator[None]:
    """What states no type is float64, as a layer within a layer."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def _widened(config: Any) -> Any:
    """Settings in which every type is float64."""
    if isinstance(config, Mapping):
        return {k: "float64" if k == "dtype" else _widened(v) for k, v in config.items()}
    return [_widened(each) for each in config] if isinstance(config, list) else config
