"""Every activation in both spellings: an argument of a layer, and a layer."""

from __future__ import annotations

from typing import Any

from generated.drawing import Drawing, Value

from conversion.readers.activations import ACTIVATIONS

COMMON = ("relu", "relu", "relu", "relu6", "leaky_relu", "silu", "tanh", "sigmoid", "gelu")
RARE = tuple(sorted({*ACTIVATIONS} - {*COMMON, "glu", "linear"}))
"""All others but `glu`, behind which Keras lets no layer with weights follow."""

LAYERS: dict[str, tuple[dict[str, Any], ...]] = {
    "ReLU": (
        {},
        {"max_value": 6.0},
        {"negative_slope": 0.1},
        {"max_value": 4.0, "negative_slope": 0.05, "threshold": 0.25},
    ),
    "LeakyReLU": ({"negative_slope": 0.3}, {"negative_slope": 0.01}),
    "ELU": ({}, {"alpha": 0.5}),
    "Softmax": ({},),
}
"""Classes of layers that may also stand in another's settings."""


def name(net: Drawing) -> str:
    """An activation by its name."""
    return net.choose(RARE) if net.one_in(3) else net.choose(COMMON)


def argument(net: Drawing) -> Any:
    """What a layer says under `activation`."""
    if not (net.in_settings and net.one_in(5)):
        return name(net)
    kind = net.choose(tuple(LAYERS))
    return {"module": "keras.layers", "class_name": kind, "config": net.choose(LAYERS[kind])}


def layer(net: Drawing, value: Value) -> Value:
    """An activation in a layer of its own."""
    kind = net.choose(("Activation", *LAYERS, "PReLU"))
    if kind == "Activation":
        return net.add(kind, value, activation=name(net))
    if kind == "PReLU":
        shared = list(range(1, len(value.shape)))
        return net.add(kind, value, shared_axes=net.choose((shared, shared, None)) or None)
    return net.add(kind, value, **net.choose(LAYERS[kind]))
