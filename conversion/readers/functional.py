"""Keras's functional and Sequential configurations to layers in order, without weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conversion.errors import UserError
from conversion.readers.schema import check_settings, rule_for
from conversion.spec import Layer, Shape

Weights = Callable[[str, str, Mapping[str, Shape]], Mapping[str, np.ndarray]]
"""Layer name, class and expected shapes to arrays by role."""


def read_layers(
    config: Mapping[str, Any], weights: Weights
) -> tuple[tuple[Layer, ...], tuple[str, ...], tuple[str, ...]]:
    """Read the layers of a `model_config`.

    Args:
        config: the parsed `model_config`, of class Functional, Model or Sequential.
        weights: gives the arrays of a layer.

    Returns:
        Layers in an order in which each comes after its inputs, input names, output names.

    Raises:
        UserError: the model is of another class, a layer is unsupported, or the layers are
            connected in a way that is not supported (shared or nested layers, call arguments).
    """
    kind, inner = config.get("class_name"), config.get("config")
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    if kind == "Sequential":
        entries = _sequential(inner)
        inputs, outputs = (entries[0][0],), (entries[-1][0],)
    elif kind in ("Functional", "Model") and isinstance(inner, Mapping):
        entries = _ordered([_functional(entry) for entry in inner["layers"]])
        inputs, outputs = _ends(inner["input_layers"]), _ends(inner["output_layers"])
    else:
        raise UserError(
            f"Expected a Functional or Sequential model; got class_name {kind!r}. "
            "Subclassed models have no layer list: rebuild yours with keras.Model(inputs, outputs)."
        )
    layers: dict[str, Layer] = {}
    for name, layer_kind, settings, sources in entries:
        rule = rule_for(layer_kind, name)
        check_settings(layer_kind, name, settings)
        try:
            if layer_kind == "InputLayer":
                shapes = [_input_shape(settings)]
            else:
                shapes = [layers[source].shape for source in sources]
            arrays = weights(name, layer_kind, rule.weights(settings, shapes))
            shape = rule.shape(settings, shapes)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(
                f"Layer '{name}' ({layer_kind}) has settings that do not fit: {error!r}."
            ) from None
        except UserError as error:
            sentence = str(error)
            if name in sentence:
                raise
            raise UserError(f"Layer '{name}' ({layer_kind}): {sentence}") from None
        layers[name] = Layer(name, layer_kind, settings, sources, arrays, shape)
    return tuple(layers.values()), inputs, outputs


Entry = tuple[str, str, Mapping[str, Any], tuple[str, ...]]


def _sequential(inner: Any) -> list[Entry]:
    listed = inner["layers"] if isinstance(inner, Mapping) else inner  # Keras 2.1 wrote a list
    if not listed:
        raise UserError("Expected a model with layers; the Sequential model is empty.")
    entries: list[Entry] = []
    if listed[0]["class_name"] != "InputLayer":
        first = listed[0]["config"]
        shape = first.get("batch_input_shape") or first.get("batch_shape")
        if shape is None:
            raise UserError("Expected an input shape in the Sequential model; it has none.")
        entries.append(("input", "InputLayer", {"batch_shape": shape}, ()))
    for entry in listed:
        sources = (entries[-1][0],) if entries else ()
        entries.append((entry["config"]["name"], entry["class_name"], entry["config"], sources))
    return entries


def _functional(entry: Mapping[str, Any]) -> Entry:
    name, kind, config = entry["name"], entry["class_name"], entry["config"]
    calls = entry["inbound_nodes"]
    if len(calls) > 1:
        raise UserError(
            f"Layer '{name}' ({kind}) is called {len(calls)} times; sharing is not supported."
        )
    if kind in ("Functional", "Model", "Sequential"):
        raise UserError(f"Layer '{name}' is a nested {kind} model, which is not supported.")
    return name, kind, config, tuple(_sources(name, calls[0])) if calls else ()


def _sources(name: str, call: Any) -> Iterator[str]:
    """The names of the layers that one call reads, in either Keras's notation."""
    if isinstance(call, Mapping):  # Keras 3: {"args": [...], "kwargs": {...}}
        _refuse_arguments(name, call["kwargs"])
        references = [item["config"]["keras_history"] for item in _tensors(name, call["args"])]
    else:  # Keras 2: [[layer, node, tensor, kwargs], ...]
        references = [item[:3] for item in ([call] if isinstance(call[0], str) else call)]
        for item in call:
            _refuse_arguments(name, item[3] if len(item) > 3 else {})
    for source, _, tensor in references:
        if tensor != 0:
            raise UserError(f"Layer '{name}' reads output {tensor} of '{source}'; only 0 is known.")
        yield source


def _tensors(name: str, value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _tensors(name, item)
    elif isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        yield value
    else:
        raise UserError(f"Layer '{name}' is called with a constant ({value!r}): not supported.")


def _refuse_arguments(name: str, kwargs: Mapping[str, Any]) -> None:
    given = {key: value for key, value in kwargs.items() if value not in (None, False)}
    if given:
        raise UserError(f"Layer '{name}' is called with {given}, which is not supported.")


def _ends(value: list[Any]) -> tuple[str, ...]:
    """Input or output layers: Keras 3 leaves the outer list out where there is just one."""
    references = [value] if value and isinstance(value[0], str) else value
    return tuple(reference[0] for reference in references)


def _ordered(entries: list[Entry]) -> list[Entry]:
    """The file's order where it already suits, else the nearest one in which inputs come first."""
    done: dict[str, Entry] = {}
    waiting = list(entries)
    while waiting:
        ready = next((e for e in waiting if all(source in done for source in e[3])), None)
        if ready is None:
            names = ", ".join(entry[0] for entry in waiting)
            raise UserError(f"Layers read each other in a circle or a missing layer: {names}.")
        if ready[0] in done:
            raise UserError(f"Two layers are named '{ready[0]}'.")
        done[ready[0]] = ready
        waiting.remove(ready)
    return list(done.values())


def _input_shape(config: Mapping[str, Any]) -> Shape:
    shape = config.get("batch_shape") or config["batch_input_shape"]
    return tuple(None if size is None else int(size) for size in shape[1:])
