"""A Keras model as a flat list of calls: every layer's value, those inside nested models too.

Keras itself has no path from a model's inputs to a tensor inside a nested model, or to one call of
a layer that is shared. So the layer objects are called one by one, in the order of the spec, with
the arguments of their own first call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras

from conversion.core.channel import Message
from conversion.reference.repairs import keras_name

Values = Mapping[str, Any]

ACTIVATED = tuple(f"keras.src.layers.{part}." for part in ("core", "convolutional", "activations"))
"""Where the layers are that apply an activation behind their own arithmetic; elsewhere, as in a
recurrent layer, it is a part of it."""


class Network:
    """The layer objects of a model, by their names in the spec."""

    def __init__(self, model: Any, message: Message) -> None:
        """Find every layer.

        Args:
            model: opened by Keras.
            message: carries the spec's ``inputs`` and its ``graph``: name, path, what it reads.
        """
        self._inputs: Sequence[str] = message.values["inputs"]
        self._reads: dict[str, Sequence[str]] = {}
        self._objects: dict[str, Any] = {}
        for name, path, reads in message.values["graph"]:
            if name not in self._inputs:
                self._reads[name] = reads
                self._objects[name] = found_in(model, path)

    def values(self, inputs: Sequence[Any]) -> dict[str, Any]:
        """Every layer's output.

        Args:
            inputs: one tensor an input, in the model's order.
        """
        values = dict(zip(self._inputs, inputs, strict=True))
        for name, reads in self._reads.items():
            values[name] = called(self._objects[name], [values[each] for each in reads])
        return values

    def check(self, names: Iterable[str]) -> None:
        """Refuse a name that no layer has.

        Raises:
            ValueError: one of them is unknown.
        """
        for name in names:
            if name not in self._objects and name not in self._inputs:
                raise ValueError(f"No such layer: {name}.")

    def plain(self, name: str, values: Values) -> Any:
        """A layer's output before its own activation.

        Args:
            name: in the spec.
            values: every layer's output.
        """
        if name not in self._objects:
            return values[name]
        layer, read = self._objects[name], [values[each] for each in self._reads[name]]
        if isinstance(layer, keras.layers.Softmax):
            return read[0]
        if not hasattr(layer, "activation") or not type(layer).__module__.startswith(ACTIVATED):
            return values[name]
        activation, layer.activation = layer.activation, keras.activations.linear
        try:
            return called(layer, read)
        finally:
            layer.activation = activation


def found_in(model: Any, path: Sequence[str]) -> Any:
    """A layer, or an operation such as ``x + y``, inside a model."""
    found = model
    for name in map(keras_name, path):
        inside = [*getattr(found, "operations", ()), *found.layers]
        found = next(each for each in inside if each.name == name)
    return found


def called(layer: Any, given: Sequence[Any], first: Any = None) -> Any:
    """A layer's output for some tensors, which take the places of those of its first call.

    Args:
        layer: what is called.
        given: the tensors.
        first: the layer whose first call it is, where that is another one.
    """
    left = iter(given)
    # there is no public way to a call's arguments
    written = (first or layer)._inbound_nodes[0].arguments

    def placed(value: Any) -> Any:
        return next(left) if isinstance(value, keras.KerasTensor) else value

    args, kwargs = keras.tree.map_structure(placed, (written.args, dict(written.kwargs)))
    if isinstance(layer, keras.Layer):
        kwargs["training"] = False
    call: Callable[..., Any] = layer
    return call(*args, **kwargs)
