"""Layers that Keras keeps beside its applications, as the reader sees them."""

from __future__ import annotations

from conversion.core.errors import UserError
from conversion.core.layer_rule import (
    Config,
    Inputs,
    LayerRule,
    same_shape,
)
from conversion.core.spec import Shape


def _gamma(config: Config, inputs: Inputs) -> dict[str, Shape]:
    return {"gamma": (int(config["projection_dim"]),)}


def _alike(config: Config, inputs: Inputs) -> Shape:
    if len(inputs) != 2 or inputs[0] != inputs[1]:
        raise UserError(f"two inputs of one shape are supported; it has {list(inputs)}.")
    return same_shape(config, inputs)


LAYERS: dict[str, LayerRule] = {
    "LayerScale": LayerRule(weights=_gamma, aliases={"variable": "gamma"}),
    "CustomScaleLayer": LayerRule(shape=_alike, supported=("scale",)),
    "StochasticDepth": LayerRule(),
}
"""Layer class to its rule: ConvNeXt's, and Inception-ResNet's."""
