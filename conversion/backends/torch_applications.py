"""Layers that Keras keeps beside its applications, as PyTorch modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from conversion.backends.torch_stage import Builder, Stage


class LayerScale(nn.Module):
    """A factor for every channel of the last axis."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, value: Tensor) -> Tensor:
        """Scale a tensor in the source layout."""
        return value * self.weight


class ScaledSum(nn.Module):
    """The first input and a share of the second."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, shortcut: Tensor, residual: Tensor) -> Tensor:
        """Add two tensors of one shape."""
        return shortcut + residual * self.scale


LAYERS: dict[str, Builder] = {
    "LayerScale": lambda config, shapes: [
        Stage("", LayerScale(int(config["projection_dim"])), "source")
    ],
    "CustomScaleLayer": lambda config, shapes: [Stage("", ScaledSum(float(config["scale"])))],
    "StochasticDepth": lambda config, shapes: [Stage("", nn.Identity())],
}
"""Layer class to the stages that compute it."""
