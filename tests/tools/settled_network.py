"""The file of a network with weights as trained ones are: a job for the Keras process.

`Reference.call("tools.settled_network:save", ...)` runs `save` there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from conversion.core.channel import Message

SPREAD = 2.0
"""Standard deviation of every output before its activation, so that the answers differ."""
LEAST_SPREAD = 1e-4
"""Of the level: less would make a layer raise rounding noise to answers."""


def save(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], Any]:
    """Draw the weights of a described network, settle them on images, train it, and save it.

    Every layer with a kernel gets about 1 before its activation and every normalization the
    statistics of what it is given, first to last in one pass. One layer in ten has a dead channel.
    """
    values, given = message.values, [tf.constant(each) for each in message.arrays.values()]
    keras.backend.clear_session()
    keras.utils.set_random_seed(values["seed"])
    model = keras.saving.deserialize_keras_object(values["config"])
    _settle(model, given, np.random.default_rng(values["seed"]))
    optimizer = keras.optimizers.Adam(1e-3)
    for _ in range(values["steps"]):
        with tf.GradientTape() as tape:
            found = tf.nest.flatten(model(given, training=True))
            loss = tf.add_n([tf.reduce_mean(tf.square(each - 0.5)) for each in found])
        trained = model.trainable_variables
        optimizer.apply(tape.gradient(loss, trained), trained)
    model.save(values["path"], include_optimizer=False)
    return {"parameters": model.count_params()}, {}


def _settle(model: keras.Model, given: Any, random: np.random.Generator) -> None:
    seen, ends = set[Any](), {tensor._keras_history.operation for tensor in model.outputs}

    def calling(layer: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if isinstance(layer, keras.Model):
                return layer._run_through_graph(args, operation_fn=calling)
            if layer not in seen:
                seen.add(layer)
                _draw(layer, args[0], layer in ends, random)
            return args[0] if type(layer).__name__.startswith("Random") else layer(*args, **kwargs)

        return call

    model._run_through_graph(given, operation_fn=calling)


def _draw(layer: Any, given: Any, is_last: bool, random: np.random.Generator) -> None:
    kernels = []
    for variable in layer.weights:
        shape = variable.shape
        if "kernel" in variable.name:
            kernels.append(variable)
            variable.assign(random.normal(0, 1, shape) * np.exp(random.normal(0, 0.4, shape[-1])))
        elif variable.name == "gamma":
            variable.assign(random.uniform(0.5, 1.5, shape))
        elif variable.name in ("beta", "bias"):
            variable.assign(random.normal(0.0, 0.3, shape))
        elif variable.name == "alpha":
            variable.assign(random.uniform(0.05, 0.4, shape))
        elif variable.name in ("mean", "moving_mean"):
            variable.assign(_moment(np.mean, given, layer, shape))
        elif variable.name in ("variance", "moving_variance"):
            variable.assign(_moment(np.var, given, layer, shape))
    if type(layer).__name__ == "Normalization":
        layer.finalize_state()  # it computes with copies of its statistics
    if kernels:
        _standardise(layer, kernels[-1], given, is_last, random)


def _moment(moment: Any, given: Any, layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A moment of what a normalization is given, for each of its channels."""
    values = np.asarray(given, np.float64)
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    others = tuple(each for each in range(values.ndim) if each != axis % values.ndim)
    return np.asarray(moment(values, axis=others)).reshape(shape)


def _standardise(
    layer: Any, kernel: Any, given: Any, is_last: bool, random: np.random.Generator
) -> None:
    """Bring what comes before the activation to about 1; the last layer's every number apart."""
    activation, layer.activation = layer.activation, keras.activations.linear
    found = np.asarray(layer(given), np.float64)
    layer.activation = activation
    ends = tuple(range(found.ndim - 1))
    spread = found.std(axis=ends) if is_last else found.std()
    # what a layer before has made the same for every image is nobody's to make differ
    least = LEAST_SPREAD * float(np.sqrt(np.mean(np.square(found))))
    scale = (SPREAD if is_last else 1.0) / np.maximum(spread, max(least, 1e-6))
    kernel.assign(np.asarray(kernel) * scale)
    if layer.bias is None:
        return
    if is_last:
        layer.bias.assign((np.asarray(layer.bias) - found.mean(axis=ends)) * scale)
    else:
        layer.bias.assign(np.asarray(layer.bias) * scale)
        if random.random() < 0.1:
            _kill(layer, kernel, random)


def _kill(layer: Any, kernel: Any, random: np.random.Generator) -> None:
    """Leave a channel dead, as training does to some."""
    values, offsets = np.array(kernel), np.array(layer.bias)
    if values.shape[-1] == len(offsets) > 2:
        channel = random.integers(len(offsets))
        values[..., channel], offsets[channel] = 0.0, 0.0
        kernel.assign(values)
        layer.bias.assign(offsets)
