"""Refuses the settings of a layer that would be ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, LayerRule
from conversion.readers.activations import activation_layer
from conversion.readers.numeric_types import refuse_type
from conversion.readers.schema import LAYERS

NUMBERS = (
    *("epsilon", "max_value", "negative_slope", "threshold", "alpha", "scale", "offset"),
    *("mean", "variance"),
)
"""Settings that enter the arithmetic, in whichever layer they occur: finite or left out."""


def check_settings(kind: str, name: str, config: Config, rule: LayerRule | None = None) -> None:
    """Refuse a setting that would be ignored.

    Args:
        kind: the layer's class.
        name: the layer's name.
        config: its settings.
        rule: of a class of the user's own; a known class has its rule.

    Raises:
        UserError: a setting has a value outside the rule's `allowed`, is no number where one is
            needed, or is a type that float32 cannot stand for.
    """
    for key, values in (rule or LAYERS[kind]).allowed.items():
        inner = activation_layer(config.get(key)) if key == "activation" else None
        if inner is not None:
            check_settings(inner[0], f"{name}/{inner[0]}", inner[1])
        elif config.get(key, values[0]) not in values:
            shown = ", ".join(dict.fromkeys(str(value) for value in values if value is not None))
            raise UserError(
                f"Layer '{name}' ({kind}) has {key}={repr(config[key])[:60]}, which is not "
                f"supported; supported: {shown}."
            )
    for key in NUMBERS:
        value = config.get(key)
        if isinstance(value, Mapping):  # Keras 3 wraps an array
            value = value["config"]["value"]
        for number in _flat(value):
            if number is not None and not (isinstance(number, int | float) and isfinite(number)):
                raise UserError(f"Layer '{name}' ({kind}) has {key}={value!r}, which is no number.")
    refuse_type(name, kind, config)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value
