"""Layers that pad, crop and enlarge along the spatial axes, as the reader sees them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape
from conversion.readers.spatial_axes import (
    FORMATS,
    joined,
    parted,
    per_axis,
)


def borders(value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Before and after along each spatial axis; Keras takes one number for all of them."""
    if rank == 1 and isinstance(value, Sequence):
        value = (value,)
    pairs = [per_axis(each, 2) for each in per_axis(value, rank)]
    if any(not isinstance(each, int) or each < 0 for pair in pairs for each in pair):
        raise UserError(f"{value} is no number of pixels before and after each spatial axis.")
    return tuple((int(before), int(after)) for before, after in pairs)


def _zero_padding(rank: int, config: Config, inputs: Inputs) -> Shape:
    sizes, channels = parted(config, inputs[0], rank)
    pairs = zip(sizes, borders(config["padding"], rank), strict=True)
    return joined(config, [s if s is None else s + sum(pads) for s, pads in pairs], channels)


def _cropping(rank: int, config: Config, inputs: Inputs) -> Shape:
    sizes, channels = parted(config, inputs[0], rank)
    pairs = zip(sizes, borders(config["cropping"], rank), strict=True)
    left = [s if s is None else s - sum(cropped) for s, cropped in pairs]
    if any(size is not None and size <= 0 for size in left):
        raise UserError(f"cropping {config['cropping']} leaves nothing of an input {inputs[0]}.")
    return joined(config, left, channels)


def _up_sampling(rank: int, config: Config, inputs: Inputs) -> Shape:
    sizes, channels = parted(config, inputs[0], rank)
    pairs = zip(sizes, per_axis(config["size"], rank), strict=True)
    return joined(config, [s if s is None else s * factor for s, factor in pairs], channels)


_LAST = {"data_format": ("channels_last", None)}  # these have no such setting in Keras
_INTERPOLATED = {**FORMATS, "interpolation": ("nearest", "bilinear")}

LAYERS: dict[str, LayerRule] = {
    "ZeroPadding1D": LayerRule(partial(_zero_padding, 1), allowed=FORMATS, supported=("padding",)),
    "ZeroPadding2D": LayerRule(partial(_zero_padding, 2), allowed=FORMATS, supported=("padding",)),
    "Cropping1D": LayerRule(partial(_cropping, 1), allowed=_LAST, supported=("cropping",)),
    "Cropping2D": LayerRule(partial(_cropping, 2), allowed=FORMATS, supported=("cropping",)),
    "UpSampling1D": LayerRule(partial(_up_sampling, 1), allowed=_LAST, supported=("size",)),
    "UpSampling2D": LayerRule(partial(_up_sampling, 2), allowed=_INTERPOLATED, supported=("size",)),
    "ZeroPadding3D": LayerRule(partial(_zero_padding, 3), allowed=FORMATS, supported=("padding",)),
    "Cropping3D": LayerRule(partial(_cropping, 3), allowed=FORMATS, supported=("cropping",)),
    "UpSampling3D": LayerRule(partial(_up_sampling, 3), allowed=FORMATS, supported=("size",)),
}
"""The rules of these layers by Keras class name."""
