"""Keras's layers that normalise, as PyTorch modules with their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conversion.backends.torch_operations import NormOfLastAxis
from conversion.backends.torch_stage import (
    Builder,
    Config,
    Shape,
    Stage,
)


def _sizes(shape: Shape, axes: Sequence[int]) -> list[int]:
    """The sizes of some axes, counted with the batch as axis 0, and 1 for all others."""
    kept = {axis % (len(shape) + 1) for axis in axes}
    return [int(size or 0) if i + 1 in kept else 1 for i, size in enumerate(shape)]


class NormOfAxis(nn.BatchNorm1d):
    """Batch normalization of any one axis."""

    def __init__(self, axis: int, size: int, eps: float) -> None:
        super().__init__(size, eps=eps)
        self.axis = axis

    def forward(self, value: Tensor) -> Tensor:
        """Normalise a tensor in the source layout."""
        moved = value.movedim(self.axis, 1)
        normal: Tensor = super().forward(moved.flatten(2) if moved.ndim > 3 else moved)
        return normal.reshape(moved.shape).movedim(1, self.axis)


class Scaled(nn.Module):
    """A factor and an offset for some axes, each only where the layer has it."""

    def __init__(self, config: Config, size: Sequence[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*size)) if config["scale"] else None
        self.bias = nn.Parameter(torch.zeros(*size)) if config["center"] else None


class LayerNorm(Scaled):
    """Mean 0 and variance 1 over some axes of each image."""

    def __init__(self, config: Config, shape: Shape) -> None:
        axis = config["axis"]
        listed = sorted(axis) if isinstance(axis, list | tuple) else [axis]
        kept = [each % (len(shape) + 1) for each in listed]
        super().__init__(config, [int(shape[each - 1] or 0) for each in kept])
        self.axes, self.sizes = tuple(kept), _sizes(shape, kept)
        self.eps = float(config["epsilon"])
        self.last = kept == [len(shape)]

    def forward(self, value: Tensor) -> Tensor:
        """Normalise a tensor in the source layout."""
        if self.last:
            return F.layer_norm(value, value.shape[-1:], self.weight, self.bias, self.eps)
        variance, mean = torch.var_mean(value, self.axes, correction=0, keepdim=True)
        normal = (value - mean) * torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            normal = normal * self.weight.reshape(self.sizes)
        return normal if self.bias is None else normal + self.bias.reshape(self.sizes)


class GroupNorm(Scaled):
    """Mean 0 and variance 1 over each group of channels of each image."""

    def __init__(self, config: Config, channels: int, axis: int) -> None:
        super().__init__(config, [channels])
        self.axis = axis
        self.groups = channels if config["groups"] == -1 else config["groups"]
        self.eps = float(config["epsilon"])

    def forward(self, value: Tensor) -> Tensor:
        """Normalise a tensor whose channels lie at the axis.

        Of values whose channels lie last in memory PyTorch takes the variance as the mean of the
        squares less the square of the mean: with means of 10 times the spread that is 17 times as
        far off as over values in order.
        """
        moved = value.movedim(self.axis, 1).contiguous()
        normal = torch.group_norm(moved, self.groups, self.weight, self.bias, self.eps)
        return normal.movedim(1, self.axis)


class RmsNorm(nn.Module):
    """Mean square 1 over the last axis, times a scale."""

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(int(shape[-1] or 0)))
        self.eps = float(config["epsilon"])

    def forward(self, value: Tensor) -> Tensor:
        """Normalise a tensor in the source layout."""
        return F.rms_norm(value, value.shape[-1:], self.weight, self.eps)


class UnitNorm(nn.Module):
    """Length 1 over some axes."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, value: Tensor) -> Tensor:
        """Normalise a tensor in the source layout."""
        length: Tensor = torch.linalg.vector_norm(value, dim=self.axes, keepdim=True)
        return value / length.clamp(min=1e-12)  # Keras's constant


class Normalization(nn.Module):
    """Away from a mean and over a spread that a file or the settings give, or back."""

    mean: Tensor
    variance: Tensor

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        axis = config.get("axis", -1)
        listed = [] if axis is None else axis if isinstance(axis, list | tuple) else [axis]
        kept = sorted(each % (len(shape) + 1) for each in listed)
        self.sizes = _sizes(shape, kept)
        size = [self.sizes[each - 1] for each in kept]
        stored = config.get("mean") is None
        for name in ("mean", "variance"):
            given = torch.ones(size) if stored else _constant(config[name]).expand(size).clone()
            self.register_buffer(name, given, persistent=stored)
        self.invert = bool(config.get("invert"))

    def forward(self, value: Tensor) -> Tensor:
        """Normalise a tensor in the source layout."""
        mean = self.mean.reshape(self.sizes)
        spread = self.variance.reshape(self.sizes).sqrt().clamp(min=1e-7)  # Keras's epsilon
        return value * spread + mean if self.invert else (value - mean) / spread


def _constant(value: Any) -> Tensor:
    plain = value["config"]["value"] if isinstance(value, Mapping) else value
    return torch.tensor(plain, dtype=torch.float32)


def _batch_norm(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    shape, eps = shapes[0], float(config["epsilon"])  # PyTorch's own is 1e-5
    setting = config.get("axis", -1)
    axis = (setting[0] if isinstance(setting, list | tuple) else setting) % (len(shape) + 1)
    size = int(shape[axis - 1] or 0)
    if axis < len(shape):
        return [Stage("", NormOfAxis(axis, size, eps), "source")]
    if len(shape) == 3:
        return [Stage("", nn.BatchNorm2d(size, eps=eps), "channels_first")]
    return [Stage("", NormOfLastAxis(size, eps=eps), "source")]


def _group_norm(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    axis = config["axis"] % (len(shapes[0]) + 1)
    channels = int(shapes[0][axis - 1] or 0)
    if axis == len(shapes[0]) == 3:
        return [Stage("", GroupNorm(config, channels, 1), "channels_first")]
    return [Stage("", GroupNorm(config, channels, axis), "source")]


def _unit_norm(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    axis = config["axis"]
    return [Stage("", UnitNorm([axis] if isinstance(axis, int) else axis), "source")]


LAYERS: dict[str, Builder] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": lambda config, shapes: [
        Stage("", LayerNorm(config, shapes[0]), "source")
    ],
    "GroupNormalization": _group_norm,
    "RMSNormalization": lambda config, shapes: [Stage("", RmsNorm(config, shapes[0]), "source")],
    "UnitNormalization": _unit_norm,
    "Normalization": lambda config, shapes: [Stage("", Normalization(config, shapes[0]), "source")],
}
"""Layer class to the stages that compute it."""
