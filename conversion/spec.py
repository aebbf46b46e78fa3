"""What a model file says: layers in order, their settings, connections and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.errors import UserError

Shape = tuple[int | None, ...]
"""A tensor's shape without its batch axis; None where the model leaves a size open."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a model and what it reads.

    Attributes:
        name: the layer's name in the source file, unique in the spec.
        kind: the Keras class name, such as ``Conv2D``.
        config: the layer's settings as Keras wrote them.
        inputs: names of the layers that it reads, in call order; empty for an input.
        weights: arrays by role (``kernel``, ``bias``, ``gamma``, ...), float32, in Keras's layout.
        shape: the output's shape without the batch axis, in the source's own layout.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    weights: Mapping[str, np.ndarray]
    shape: Shape

    @property
    def activation(self) -> str:
        """The activation that the layer applies itself; ``linear`` where it has none."""
        return str(self.config.get("activation") or "linear")


@dataclass(frozen=True, eq=False)
class Spec:
    """A whole model as its file describes it, read without TensorFlow.

    Attributes:
        name: the model's name in the file.
        layers: in an order in which every layer comes after what it reads.
        inputs: names of the input layers, in the model's order.
        outputs: names of the layers whose outputs the model returns, in the model's order.
        digest: SHA-256 of the source file, hexadecimal.
        keras_version: the version that wrote the file, or ``unknown``.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    digest: str
    keras_version: str

    def layer(self, name: str) -> Layer:
        """The layer of that name.

        Raises:
            UserError: no layer has the name.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers)
        raise UserError(f"No layer is named '{name}'; the model has: {known}.")

    def head(self, output: str) -> str:
        """What an output means: ``softmax``, ``sigmoid``, or ``none`` for anything else."""
        layer = self.layer(output)
        kind = "softmax" if layer.kind == "Softmax" else layer.activation
        return kind if kind in ("softmax", "sigmoid") else "none"

    def parameters(self) -> int:
        """The number of stored weights, moving statistics included."""
        return sum(int(array.size) for layer in self.layers for array in layer.weights.values())
