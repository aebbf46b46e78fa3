"""What a model file says: layers in order, their settings, connections and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.layer_rule import Shape as Shape

KERNELS = ("depthwise_kernel", "kernel", "pointwise_kernel")
"""Roles of the weights that a layer multiplies with, in the order in which it applies them."""


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
        path: names from the outermost Keras model to the layer object; empty where the layer's own
            name is all of it.
        whole: whether what its settings call an activation belongs to its own arithmetic, as in a
            class of the user's own.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    weights: Mapping[str, np.ndarray]
    shape: Shape
    path: tuple[str, ...] = ()
    whole: bool = False

    @property
    def applied(self) -> Any:
        """What the settings say of the activation behind the layer's own arithmetic."""
        return "linear" if self.whole else self.config.get("activation") or "linear"

    @property
    def activation(self) -> str:
        """The activation that the layer applies itself, by name; ``linear`` where it has none.

        Where a layer stands in place of a name, the class of that layer.
        """
        setting = self.applied
        return str(setting["class_name"] if isinstance(setting, Mapping) else setting)


@dataclass(frozen=True, eq=False)
class Spec:
    """A whole model as its file describes it, read without TensorFlow.

    Attributes:
        name: the model's name in the file.
        layers: in an order in which every layer comes after what it reads.
        inputs: names of the input layers, in the model's order.
        outputs: names of the layers whose outputs the model returns, in the model's order.
        digest: SHA-256 of the source file, hexadecimal; of both where its weights are beside it.
        keras_version: the version that wrote the file, or ``unknown``.
        suffix: ending of the one file in which Keras keeps such a model.
        weights_file: name of the file of weights beside the source; empty where it has them.
        custom: the user's own layers by which it was read.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    digest: str
    keras_version: str
    suffix: str = ".h5"
    weights_file: str = ""
    custom: Custom = field(default_factory=Custom)

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

    @property
    def without_answers(self) -> str:
        """Why the outputs are not answers that are right or wrong; empty where they are."""
        if len(self.outputs) != 1 or len(self.layer(self.outputs[0]).shape) != 1:
            return "the model does not give one row of class scores"
        (output,) = self.outputs
        if self.layer(output).shape == (1,) and self.head(output) != "sigmoid":
            return "the model gives one number that is no probability"
        return ""

    def head(self, output: str) -> str:
        """What an output means: ``softmax``, ``sigmoid``, or ``none`` for anything else."""
        layer = self.layer(output)
        inner = layer.applied
        settings = inner["config"] if isinstance(inner, Mapping) else layer.config
        kind = "softmax" if layer.kind == "Softmax" else layer.activation.lower()
        rank = len(layer.shape)
        if kind == "softmax" and settings.get("axis", -1) not in (-1, [-1], rank, [rank]):
            return "none"
        return kind if kind in ("softmax", "sigmoid") else "none"

    def parameters(self) -> int:
        """The number of weights, moving statistics included; those of a shared layer count once."""
        stored = {id(a): a.size for layer in self.layers for a in layer.weights.values()}
        return int(sum(stored.values()))
