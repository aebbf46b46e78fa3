"""Four networks with recurrent, attention and 3D layers, trained on data made here, in seconds.

`train` is a job for the Keras process; the data is drawn anew, and alike, wherever it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.core.channel import Message

CLASSES = 4
NOISE = 0.15

Data = tuple[np.ndarray, np.ndarray]
"""Inputs ``(N, ...)`` float32 and what they are."""


def _textures(random: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Patches of 12 x 4 pixels, ``(..., 12, 4)``: empty, rows, columns, a chequered one."""
    row, column = np.indices((12, 4))
    kinds = np.stack([0 * row, row // 2 % 2, column // 2 % 2, (row // 2 + column // 2) % 2])
    return kinds[labels] + random.normal(0, NOISE, (*labels.shape, 12, 4))


def lines(count: int, seed: int) -> Data:
    """Six characters in a line, images ``(N, 12, 24, 1)``, each one of four: ``(N, 6)``."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, (count, 6))
    patches = _textures(random, labels).transpose(0, 2, 1, 3).reshape(count, 12, 24, 1)
    return patches.astype(np.float32), labels


def films(count: int, seed: int) -> Data:
    """A dot that moves in one of four directions, ``(N, 5, 10, 10, 1)``."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])[labels]
    starts = random.integers(0, 10, (count, 2))
    value = random.normal(0, NOISE, (count, 5, 10, 10, 1))
    for now in range(5):
        row, column = ((starts + now * steps) % 10).T
        value[np.arange(count), now, row, column] += 1
    return value.astype(np.float32), labels


def gratings(count: int, seed: int) -> Data:
    """A grating in one of four directions at any phase, ``(N, 16, 16, 1)``."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    angle = labels[:, None, None] * np.pi / CLASSES
    row, column = np.indices((16, 16))
    phase = random.uniform(0, 2 * np.pi, (count, 1, 1))
    value = np.sin(np.cos(angle) * row + np.sin(angle) * column + phase)
    value += random.normal(0, NOISE, value.shape)
    return value[..., None].astype(np.float32), labels


def volumes(count: int, seed: int) -> Data:
    """A bright ball in a volume ``(N, 8, 8, 8, 1)``, and which of its places are in it."""
    random = np.random.default_rng(seed)
    centre = random.uniform(2, 6, (count, 3, 1, 1, 1))
    radius = random.uniform(1.5, 3, (count, 1, 1, 1))
    inside = ((np.indices((8, 8, 8)) - centre) ** 2).sum(1) < radius**2
    value = inside + random.normal(0, 2 * NOISE, inside.shape)
    return value[..., None].astype(np.float32), inside[..., None].astype(np.float32)


def _crnn(given: Any) -> Any:
    from keras import layers

    value = layers.Conv2D(8, 3, padding="same", activation="relu")(given)
    value = layers.MaxPooling2D(2)(value)
    value = layers.TimeDistributed(layers.Flatten())(layers.Permute((2, 1, 3))(value))
    value = layers.Bidirectional(layers.LSTM(12, return_sequences=True))(value)
    value = layers.MaxPooling1D(2)(value)
    return layers.Dense(CLASSES, activation="softmax", name="scores")(value)


def _conv_lstm(given: Any) -> Any:
    from keras import layers

    value = layers.ConvLSTM2D(8, 3, padding="same")(given)
    value = layers.Conv2D(8, 3, activation="relu")(value)
    value = layers.GlobalAveragePooling2D()(value)
    return layers.Dense(CLASSES, activation="softmax", name="scores")(value)


def _transformer(given: Any) -> Any:
    from keras import layers

    value = layers.Reshape((16, 16))(layers.Conv2D(16, 4, strides=4)(given))
    for _ in range(2):
        normal = layers.LayerNormalization()(value)
        value = layers.Add()([value, layers.MultiHeadAttention(2, 8)(normal, normal)])
        normal = layers.LayerNormalization()(value)
        wide = layers.Dense(32, activation="silu")(normal)
        value = layers.Add()([value, layers.Dense(16)(wide)])
    value = layers.GlobalAveragePooling1D()(value)
    return layers.Dense(CLASSES, activation="softmax", name="scores")(value)


def _u_net(given: Any) -> Any:
    from keras import layers

    fine = layers.Conv3D(6, 3, padding="same", activation="relu")(given)
    coarse = layers.MaxPooling3D(2)(fine)
    coarse = layers.Conv3D(12, 3, padding="same", activation="relu")(coarse)
    value = layers.Concatenate()([fine, layers.UpSampling3D(2)(coarse)])
    value = layers.Conv3D(6, 3, padding="same", activation="relu")(value)
    return layers.Conv3D(1, 1, activation="sigmoid", name="scores")(value)


@dataclass(frozen=True)
class Network:
    """A network and how it is trained.

    Attributes:
        data: draws inputs and what they are.
        build: from the input to the output.
        loss: by Keras's name.
        epochs: over 2,000 inputs.
    """

    data: Callable[[int, int], Data]
    build: Callable[[Any], Any]
    loss: str = "sparse_categorical_crossentropy"
    epochs: int = 8


NETWORKS = {
    "crnn": Network(lines, _crnn),
    "conv-lstm": Network(films, _conv_lstm, epochs=12),
    "transformer": Network(gratings, _transformer),
    "u-net-3d": Network(volumes, _u_net, "binary_crossentropy", epochs=3),
}


def train(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a network and save it; answers with the share of right answers on other data."""
    import keras

    network = NETWORKS[message.values["name"]]
    keras.utils.set_random_seed(1)
    inputs, wanted = network.data(2000, 1)
    given = keras.Input(inputs.shape[1:], name="given")
    model = keras.Model(given, network.build(given))
    model.compile(keras.optimizers.Adam(5e-3), network.loss, metrics=["accuracy"])
    model.fit(inputs, wanted, batch_size=32, epochs=network.epochs, verbose=0)
    right = model.evaluate(*network.data(500, 2), verbose=0)[1]
    model.save(message.values["path"])
    return {"right": float(right)}, {}
