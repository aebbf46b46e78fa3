"""The reader's half of the layers that normalise."""

from __future__ import annotations

from typing import Any

import numpy as np

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape
from conversion.readers.axes import axes_of


def _known(axes: list[int], shape: Shape) -> tuple[int, ...]:
    sizes = [shape[axis] for axis in axes]
    if None in sizes:
        raise UserError(f"the axes that it normalises must have a size; it gets {shape}.")
    return tuple(size or 0 for size in sizes)


def _scaled(config: Config, size: tuple[int, ...]) -> dict[str, Shape]:
    roles = ["gamma"] * bool(config["scale"]) + ["beta"] * bool(config["center"])
    return dict.fromkeys(roles, size)


def _batch_norm(config: Config, inputs: Inputs) -> dict[str, Shape]:
    size = _known(axes_of(config["axis"], inputs[0]), inputs[0])
    if len(size) != 1:
        raise UserError(f"axis {config['axis']} is not supported; one axis is.")
    return {**_scaled(config, size), "moving_mean": size, "moving_variance": size}


def _layer_norm(config: Config, inputs: Inputs) -> dict[str, Shape]:
    axis = config["axis"]
    # Keras sorts the numbers as they are written, so -1 stands before 1.
    axes = axes_of(sorted(axis) if isinstance(axis, list) else axis, inputs[0])
    if axes != sorted(axes):
        raise UserError(f"axis {axis} is not supported; write every axis as a positive number.")
    return _scaled(config, _known(axes, inputs[0]))


def _group_norm(config: Config, inputs: Inputs) -> dict[str, Shape]:
    if not isinstance(config["axis"], int):
        raise UserError(f"axis {config['axis']} is not supported; one axis is.")
    (size,) = _known(axes_of(config["axis"], inputs[0]), inputs[0])
    groups = size if config["groups"] == -1 else config["groups"]
    if not isinstance(groups, int) or groups < 1 or size % groups:
        raise UserError(f"{size} channels do not divide into {groups} groups.")
    return _scaled(config, (size,))


def _rms_norm(config: Config, inputs: Inputs) -> dict[str, Shape]:
    axes, last = axes_of(config["axis"], inputs[0]), len(inputs[0]) - 1
    if axes != [last]:  # Keras multiplies its scale along the last axis, whichever it normalises
        raise UserError(f"axis {config['axis']} is not supported; the last axis is.")
    return {"scale": _known(axes, inputs[0])}


def _unit_norm(config: Config, inputs: Inputs) -> dict[str, Shape]:
    axes_of(config["axis"], inputs[0])
    return {}


def _normalization(config: Config, inputs: Inputs) -> dict[str, Shape]:
    axis = config.get("axis", -1)
    kept = sorted(axes_of([] if axis is None else axis, inputs[0]))
    size = _known(kept, inputs[0])
    given = [config.get(role) for role in ("mean", "variance")]
    if given == [None, None]:
        return {"mean": size, "variance": size}
    mean, variance = (_array(value) for value in given)
    if mean.shape != variance.shape or mean.ndim > len(size):
        raise UserError(f"mean {mean.shape} and variance {variance.shape} do not fit {size}.")
    if (variance < 0).any():
        raise UserError(f"its variance should not be negative; its least is {variance.min()}.")
    np.broadcast_to(mean, size)
    return {}


def _array(value: Any) -> np.ndarray:
    return np.asarray(value["config"]["value"] if isinstance(value, dict) else value, float)


_AFFINE = ("axis", "epsilon", "center", "scale")

LAYERS: dict[str, LayerRule] = {
    "BatchNormalization": LayerRule(
        weights=_batch_norm,
        allowed={"renorm": (False,), "virtual_batch_size": (None,)},
        supported=_AFFINE,
    ),
    "LayerNormalization": LayerRule(
        weights=_layer_norm, allowed={"rms_scaling": (False,)}, supported=_AFFINE
    ),
    "GroupNormalization": LayerRule(weights=_group_norm, supported=("groups", *_AFFINE)),
    "RMSNormalization": LayerRule(weights=_rms_norm, supported=("axis", "epsilon")),
    "UnitNormalization": LayerRule(weights=_unit_norm, supported=("axis",)),
    "Normalization": LayerRule(
        weights=_normalization,
        counts=("count",),
        supported=("axis", "mean", "variance", "invert"),
    ),
}
"""Layer class to its rule."""
