"""Spatial axes and channels of a shape, in either order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config
from conversion.core.spec import Shape

FORMATS: Mapping[str, tuple[Any, ...]] = {
    "data_format": ("channels_last", "channels_first", None),
}


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """A setting for each spatial axis; Keras takes one number for all of them."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * rank
    if len(values) != rank:
        raise UserError(
            f"{list(values)} has {len(values)} values; {rank} spatial axes need {rank}."
        )
    return values


def is_first(config: Config) -> bool:
    """Whether the channels stand before the spatial axes."""
    return config.get("data_format") == "channels_first"


def parted(config: Config, shape: Shape, rank: int) -> tuple[Shape, int]:
    """The spatial sizes and the number of channels.

    Raises:
        UserError: the input has another rank, or leaves its channels open.
    """
    if len(shape) != rank + 1:
        raise UserError(f"it expects {rank} spatial axes and channels; its input is {shape}.")
    sizes, channels = (shape[1:], shape[0]) if is_first(config) else (shape[:-1], shape[-1])
    if channels is None:
        raise UserError(f"its input {shape} leaves the number of channels open.")
    return sizes, channels


def joined(config: Config, sizes: Sequence[int | None], channels: int) -> Shape:
    """Spatial sizes and channels in the layer's own order."""
    return (channels, *sizes) if is_first(config) else (*sizes, channels)
