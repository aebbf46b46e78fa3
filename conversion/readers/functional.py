"""Keras's functional and Sequential configurations to layers in order, without weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.layer_rule import LayerRule
from conversion.core.spec import Layer, Shape
from conversion.readers.code_guard import WAYS_ON
from conversion.readers.nested_models import Entry, flat
from conversion.readers.numeric_types import refuse_arithmetic_of_whole_numbers
from conversion.readers.refused_layers import REFUSED
from conversion.readers.schema import BY_KERAS, rules_with
from conversion.readers.shapes import output_shape
from conversion.readers.supported_settings import check_settings

Weights = Callable[[tuple[str, ...], str, Mapping[str, Shape]], Mapping[str, np.ndarray]]
"""A layer's path, class and expected shapes to its arrays by role."""

MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading JSON of any form can raise where Keras's was expected."""


def read_layers(
    config: Mapping[str, Any], weights: Weights, custom: Custom
) -> tuple[tuple[Layer, ...], tuple[str, ...], tuple[str, ...]]:
    """Read the layers of a `model_config`; what is nested or shared becomes one layer a call.

    Args:
        config: the parsed `model_config`, of class Functional, Model or Sequential.
        weights: gives the arrays of a layer.
        custom: the user's own layers.

    Returns:
        Layers in an order in which each comes after its inputs, input names, output names.

    Raises:
        UserError: the model is of another class, a layer is unsupported, the layers are connected
            in a way that is not supported (a layer's second output, call arguments), or compute
            with whole numbers.
    """
    try:
        entries, inputs, outputs = flat(config)
    except MALFORMED as error:
        raise UserError(
            f"Expected layers as Keras writes them in 'model_config'; found others ({error!r})."
        ) from error
    rules, layers = rules_with(custom), dict[str, Layer]()
    kept: dict[tuple[str, ...], Mapping[str, np.ndarray]] = {}
    for entry in entries:
        try:
            rule = rules.get(entry.kind)
            if rule is None:
                why = REFUSED.get(entry.kind)
                raise UserError(
                    f"Layer '{entry.name}' is a {entry.kind}, which is not supported "
                    f"(docs/supported.md has those that are): {why or WAYS_ON}."
                )
            whole = entry.kind in custom.layers or entry.kind in BY_KERAS
            layers[entry.name] = _layer(entry, rule, whole, layers, weights, kept)
        except MALFORMED as error:
            raise UserError(
                f"Layer '{entry.name}' ({entry.kind}) has settings that do not fit: {error!r}."
            ) from error
        except UserError as error:
            sentence = str(error)
            if f"'{entry.name}" in sentence:
                raise
            raise UserError(f"Layer '{entry.name}' ({entry.kind}): {sentence}") from error
    refuse_arithmetic_of_whole_numbers(layers)
    return tuple(layers.values()), inputs, outputs


def _layer(
    entry: Entry,
    rule: LayerRule,
    whole: bool,
    layers: Mapping[str, Layer],
    weights: Weights,
    kept: dict[tuple[str, ...], Mapping[str, np.ndarray]],
) -> Layer:
    name, kind, settings = entry.name, entry.kind, entry.settings
    check_settings(kind, name, settings, rule)
    if kind == "InputLayer":
        shapes = [_input_shape(settings)]
    else:
        shapes = [layers[source].shape for source in entry.sources]
    shape = output_shape(rule, settings, shapes, whole)
    expected = rule.weights(settings, shapes)
    arrays = kept.get(entry.path)
    if arrays is None:
        arrays = kept[entry.path] = weights(entry.path, kind, expected)
    elif {role: array.shape for role, array in arrays.items()} != expected:
        raise UserError(f"its weights are of other shapes than in its first call ({expected}).")
    path = () if entry.path == (name,) else entry.path
    return Layer(name, kind, settings, entry.sources, arrays, shape, path, whole)


def _input_shape(config: Mapping[str, Any]) -> Shape:
    shape = config.get("batch_shape") or config["batch_input_shape"]
    return tuple(None if size is None else int(size) for size in shape[1:])
