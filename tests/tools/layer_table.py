"""The layers that are supported, as the table of `docs/supported.md`, made from the registries."""

from __future__ import annotations

from typing import Any

from conversion.core.layer_rule import LayerRule
from conversion.readers.activations import ACTIVATION_LAYERS, ACTIVATIONS
from conversion.readers.schema import BY_KERAS, LAYERS

HEADER = "| layer | settings supported | reader | truth | PyTorch |\n|---|---|---|---|---|"


def layer_table() -> str:
    """Every layer class with its settings and the registries that know it, as Markdown.

    Returns:
        A table of one row a class. A setting without values may have any; one with a single value
        is refused with another.
    """
    from conversion.backends import torch_layers
    from conversion.proof import truth

    computed = {*truth.LAYERS, "Softmax"}  # an activation without a layer there
    rows = [
        f"| `{kind}` | {_settings(rule)} | yes | {_known(kind, computed)} | "
        f"{_known(kind, torch_layers.LAYERS)} |"
        for kind, rule in LAYERS.items()
        if kind != "InputLayer"
    ]
    rows += [
        f"| `{kind}` | {_settings(rule)} | yes | Keras in float64 | no |"
        for kind, rule in BY_KERAS.items()
    ]
    return "\n".join((HEADER, *sorted(rows)))


def activation_line() -> str:
    """The activations by name."""
    names = ", ".join(f"`{name}`" for name in sorted(ACTIVATIONS))
    layers = ", ".join(f"`{kind}`" for kind in ACTIVATION_LAYERS)
    return f"`activation`: {names}; or one of the layers {layers} in its place."


def _known(kind: str, registry: Any) -> str:
    return "yes" if kind in registry else "no"


def _settings(rule: LayerRule) -> str:
    free = [f"`{name}`" for name in rule.supported]
    chosen = [
        "`activation`" if name == "activation" else f"`{name}` {_values(values)}"
        for name, values in rule.allowed.items()
        if len({*map(str, values)} - {"None"}) > 1
    ]
    fixed = [
        f"`{name}` only {_values(values)}"
        for name, values in rule.allowed.items()
        if len({*map(str, values)} - {"None"}) <= 1
    ]
    return ", ".join((*free, *chosen, *fixed)) or "-"


def _values(values: tuple[Any, ...]) -> str:
    shown = [str(value) for value in values if value is not None] or ["None"]
    return " or ".join(dict.fromkeys(shown))
