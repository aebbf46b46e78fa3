"""PyTorch modules for what Keras does and `torch.nn` has no module for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Config = Mapping[str, Any]

AVERAGE_POOL: tuple[Any, Any, Any] = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
"""By the number of spatial axes, less one."""


class SamePadding(nn.Module):
    """TensorFlow's `same`: the odd pixel goes to the bottom and right.

    It depends on the input's size, so it is computed for each input (with stride 2 on an even
    size it is 0 at the top and left and 1 at the bottom and right; a symmetric padding of 1 costs
    25 points of accuracy on the reference network).
    """

    def __init__(
        self, window: Sequence[int], stride: Sequence[int], dilation: Sequence[int], fill: float
    ) -> None:
        super().__init__()
        self.reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
        self.stride = list(stride)
        self.fill = fill

    def forward(self, value: Tensor) -> Tensor:
        """Pad ``(N, C, ...)``."""
        pads: list[int] = []
        for size, reach, stride in zip(value.shape[2:], self.reach, self.stride, strict=True):
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            pads = [total // 2, total - total // 2, *pads]  # F.pad counts from the last axis
        return F.pad(value, pads, value=self.fill) if any(pads) else value


class SameAveragePool(nn.Module):
    """Average pooling with `same` padding that divides by the pixels under the window only."""

    def __init__(self, window: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.pad = SamePadding(window, stride, (1,) * len(window), 0.0)
        self.pool = AVERAGE_POOL[len(window) - 1](tuple(window), tuple(stride))

    def forward(self, value: Tensor) -> Tensor:
        """Pool ``(N, C, ...)``."""
        ones = torch.ones_like(value[:1, :1])
        pooled: Tensor = self.pool(self.pad(value)) / self.pool(self.pad(ones))
        return pooled


class Add(nn.Module):
    """The sum of its inputs."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Add tensors of one shape."""
        for other in others:
            first = first + other
        return first


class Multiply(nn.Module):
    """The product of its inputs."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Multiply tensors of one shape."""
        for other in others:
            first = first * other
        return first


class Concatenate(nn.Module):
    """Its inputs side by side along one axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *values: Tensor) -> Tensor:
        """Concatenate tensors in the source layout."""
        return torch.cat(values, dim=self.axis)


class Reshape(nn.Module):
    """Another shape of the same elements in the source layout."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, value: Tensor) -> Tensor:
        """Reshape everything but the batch axis."""
        return value.reshape(value.shape[0], *self.shape)


class NormOfLastAxis(nn.BatchNorm1d):
    """Batch normalization of the last axis, whatever stands between it and the batch."""

    def forward(self, value: Tensor) -> Tensor:
        """Normalise ``(N, ..., C)``."""
        normal: Tensor = super().forward(value.flatten(0, -2))
        return normal.reshape(value.shape)


class GlobalMax(nn.Module):
    """The largest value of each channel."""

    def forward(self, value: Tensor) -> Tensor:
        """Pool ``(N, C, ...)`` to ``(N, C, 1, ...)``."""
        return torch.amax(value, dim=tuple(range(2, value.ndim)), keepdim=True)


class Rescaling(nn.Module):
    """``value * scale + offset`` with constants of the configuration."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Any, offset: Any) -> None:
        super().__init__()
        for name, value in (("scale", scale), ("offset", offset)):
            if isinstance(value, Mapping):  # Keras 3 wraps an array
                value = value["config"]["value"]
            tensor = torch.tensor(value, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, value: Tensor) -> Tensor:
        """Rescale a tensor in the source layout."""
        return value * self.scale + self.offset


class ThresholdRelu(nn.Module):
    """Keras's ReLU layer with all of its parameters."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.slope = float(config.get("negative_slope") or 0.0)
        self.threshold = float(config.get("threshold") or 0.0)
        self.ceiling = config.get("max_value")

    def forward(self, value: Tensor) -> Tensor:
        """Clip and scale element by element."""
        below = self.slope * (value - self.threshold)
        # A value at the threshold itself becomes 0 in Keras: whole numbers meet it.
        result = torch.where(value > self.threshold, value, below)
        return result if self.ceiling is None else result.clamp(max=float(self.ceiling))
