"""Keras's functional and Sequential configurations to layers in order, without weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conversion.errors import UserError
from conversion.readers.honoured import check_settings
from conversion.readers.schema import rule_for
from conversion.spec import Layer, Shape

Weights = Callable[[str, str, Mapping[str, Shape]], Mapping[str, np.ndarray]]
"""Layer name, class and expected shapes to arrays by role."""

MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading JSON of any form can raise where Keras's was expected."""

Entry = tuple[str, str, Mapping[str, Any], tuple[str, ...]]
"""Name, class, settings and the names of the layers that it reads."""


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
    try:
        entries, inputs, outputs = _entries(config)
    except MALFORMED as error:
        raise UserError(
            f"Expected layers as Keras writes them in 'model_config'; found others ({error!r})."
        ) from error
    layers: dict[str, Layer] = {}
    for entry in entries:
        name, kind = entry[:2]
        try:
            layers[name] = _layer(entry, layers, weights)
        except MALFORMED as error:
            raise UserError(
                f"Layer '{name}' ({kind}) has settings that do not fit: {error!r}."
            ) from error
        except UserError as error:
            sentence = str(error)
            if f"'{name}" in sentence:
                raise
            raise UserError(f"Layer '{name}' ({kind}): {sentence}") from error
    return tuple(layers.values()), inputs, outputs


def _entries(config: Mapping[str, Any]) -> tuple[list[Entry], tuple[str, ...], tuple[str, ...]]:
    """Layers in order, input names, output names."""
    kind, inner = config.get("class_name"), config.get("config")
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    if kind == "Sequential":
        entries = _sequential(inner)
        inputs, outputs = (entries[0][0],), (entries[-1][0],)
    elif kind in ("Functional", "Model") and isinstance(inner, Mapping):
        entries = [_functional(entry) for entry in inner["layers"]]
        inputs, outputs = _ends(inner["input_layers"]), _ends(inner["output_layers"])
    else:
        raise UserError(
            f"Expected a Functional or Sequential model; got class_name {kind!r}. "
            "Subclassed models have no layer list: rebuild yours with keras.Model(inputs, outputs)."
        )
    for name, layer_kind, _, sources in entries:
        if not (name and name.isprintable() and layer_kind.isprintable()):
            raise UserError(f"Expected printable names of layers; got {name!r}, a {layer_kind!r}.")
        if (layer_kind == "InputLayer") == bool(sources):
            raise UserError(f"Layer '{name}' ({layer_kind}) reads {list(sources) or 'nothing'}.")
    entries = _ordered(entries)
    stated = {entry[0] for entry in entries if entry[1] == "InputLayer"}
    if set(inputs) != stated or len(set(inputs)) != len(inputs):
        raise UserError(f"Expected the inputs {sorted(stated)}; the model names {list(inputs)}.")
    known = {entry[0] for entry in entries}
    if not outputs or not known.issuperset(outputs) or len(set(outputs)) != len(outputs):
        raise UserError(f"Expected outputs that are different layers; got {list(outputs)}.")
    return entries, inputs, outputs


def _layer(entry: Entry, layers: Mapping[str, Layer], weights: Weights) -> Layer:
    name, kind, settings, sources = entry
    rule = rule_for(kind, name)
    check_settings(kind, name, settings)
    if kind == "InputLayer":
        shapes = [_input_shape(settings)]
    else:
        shapes = [layers[source].shape for source in sources]
    shape = rule.shape(settings, shapes)
    if any(size is not None and not (isinstance(size, int) and size > 0) for size in shape):
        raise UserError(f"its settings give an output of shape {shape}.")
    arrays = weights(name, kind, rule.weights(settings, shapes))
    return Layer(name, kind, settings, sources, arrays, shape)


def _sequential(inner: Any) -> list[Entry]:
    listed = inner["layers"] if isinstance(inner, Mapping) else inner  # Keras 2.1 wrote a list
    if not listed:
        raise UserError("Expected a model with layers; the Sequential model is empty.")
    entries: list[Entry] = []
    if listed[0]["class_name"] != "InputLayer":
        shape = listed[0]["config"].get("batch_input_shape")
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
    if config["name"] != name:
        raise UserError(f"Layer '{name}' ({kind}) is named '{config['name']}' in its settings.")
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
        items = [call] if isinstance(call[0], str) else call
        references = [item[:3] for item in items]
        for item in items:
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
        raise UserError(
            f"Layer '{name}' is called with a constant ({str(value)[:60]}): not supported."
        )


def _refuse_arguments(name: str, kwargs: Mapping[str, Any]) -> None:
    given = {key: value for key, value in kwargs.items() if value not in (None, False)}
    if given:
        shown = str(given)[:60]
        raise UserError(f"Layer '{name}' is called with {shown}, which is not supported.")


def _ends(value: list[Any]) -> tuple[str, ...]:
    """Input or output layers: Keras 3 leaves the outer list out where there is just one."""
    references = [value] if value and isinstance(value[0], str) else value
    for name, node, tensor in references:
        if (node, tensor) != (0, 0):
            raise UserError(f"Output {tensor} of call {node} of '{name}': only 0 of 0 is known.")
    return tuple(reference[0] for reference in references)


def _ordered(entries: list[Entry]) -> list[Entry]:
    """The file's order where it already suits, else the nearest one in which inputs come first."""
    done: dict[str, Entry] = {}
    waiting = list(entries)
    while waiting:
        ready = next((e for e in waiting if all(source in done for source in e[3])), None)
        if ready is None:
            names = ", ".join(entry[0] for entry in waiting[:5])
            raise UserError(f"Layers read each other in a circle or a missing layer: {names}.")
        if ready[0] in done:
            raise UserError(f"Two layers are named '{ready[0]}'.")
        done[ready[0]] = ready
        waiting.remove(ready)
    return list(done.values())


def _input_shape(config: Mapping[str, Any]) -> Shape:
    shape = config.get("batch_shape") or config["batch_input_shape"]
    return tuple(None if size is None else int(size) for size in shape[1:])
