"""The reader's half of layers that move values or resize images."""

from __future__ import annotations

from math import prod

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape


def _flatten(config: Config, inputs: Inputs) -> Shape:
    return (None if None in inputs[0] else prod(size or 0 for size in inputs[0]),)


def _reshape(config: Config, inputs: Inputs) -> Shape:
    target = list(config["target_shape"])
    if None in inputs[0]:
        return tuple(None if size == -1 else size for size in target)
    total = prod(size or 0 for size in inputs[0])
    if -1 in target:
        target[target.index(-1)] = total // max(-prod(target), 1)
    if prod(target) != total:
        raise UserError(f"target_shape {tuple(target)} does not hold the {total} values it gets.")
    return tuple(target)


def _permute(config: Config, inputs: Inputs) -> Shape:
    dims = config["dims"]
    if sorted(dims) != list(range(1, len(inputs[0]) + 1)):
        raise UserError(f"dims {dims} is no order of the axes of {inputs[0]}.")
    return tuple(inputs[0][axis - 1] for axis in dims)


def _repeat(config: Config, inputs: Inputs) -> Shape:
    if len(inputs[0]) != 1:
        raise UserError(f"it repeats vectors; it gets {inputs[0]}.")
    return (config["n"], inputs[0][0])


def _resizing(config: Config, inputs: Inputs) -> Shape:
    if len(inputs[0]) != 3:
        raise UserError(f"it resizes images; it gets {inputs[0]}.")
    size = (config["height"], config["width"])
    if config.get("data_format") == "channels_first":
        return (inputs[0][0], *size)
    return (*size, inputs[0][-1])


_FORMAT = {"data_format": ("channels_last", "channels_first", None)}

LAYERS: dict[str, LayerRule] = {
    "Flatten": LayerRule(_flatten, allowed=_FORMAT),
    "Reshape": LayerRule(_reshape, supported=("target_shape",)),
    "Permute": LayerRule(_permute, supported=("dims",)),
    "RepeatVector": LayerRule(_repeat, supported=("n",)),
    "Resizing": LayerRule(
        _resizing,
        allowed={
            "interpolation": ("bilinear", "nearest"),
            "crop_to_aspect_ratio": (False,),
            "pad_to_aspect_ratio": (False,),
            "antialias": (False,),
            **_FORMAT,
        },
        supported=("height", "width"),
    ),
}
"""Layer class to its rule."""
