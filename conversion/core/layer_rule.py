"""What the reader must know of a layer class, as a rule, and the parts that many rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int | None, ...]
"""A tensor's shape without its batch axis; None where the model leaves a size open."""

Config = Mapping[str, Any]
Inputs = Sequence[Shape]


def same_shape(config: Config, inputs: Inputs) -> Shape:
    """The shape of the first input."""
    return inputs[0]


def no_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    """No weights."""
    return {}


def no_cost(config: Config, inputs: Inputs, output: Shape) -> int:
    """Nothing is multiplied."""
    return 0


def with_bias(config: Config, weights: dict[str, Shape], size: int) -> dict[str, Shape]:
    """The weights, and a bias of that size behind them where the layer has one."""
    return {**weights, "bias": (size,)} if config.get("use_bias", True) else weights


@dataclass(frozen=True)
class LayerRule:
    """One layer class as the reader sees it.

    Attributes:
        shape: output shape from the settings and the input shapes.
        weights: role to shape, in the order in which Keras stores them. A weight of a part of the
            layer, such as the cell of a recurrent one, is called ``part/role``.
        cost: multiply-accumulates for one image.
        allowed: settings that may only have these values; a setting left out has the first one.
        aliases: other names under which some Keras version stores a role.
        counts: roles that are whole numbers, which no arithmetic reads.
        supported: the other settings that enter the arithmetic, for the table in the documents.
        unread: whether its weights are not looked at, since nothing here computes with them.
    """

    shape: Callable[[Config, Inputs], Shape] = same_shape
    weights: Callable[[Config, Inputs], dict[str, Shape]] = no_weights
    cost: Callable[[Config, Inputs, Shape], int] = no_cost
    allowed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    counts: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    unread: bool = False
