"""PyTorch modules for windows of Keras that `torch.nn` has no module for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class CroppedTranspose1d(nn.ConvTranspose1d):
    """A transposed convolution without its last value.

    PyTorch cuts as much off the beginning as off the end; `same` cuts the odd one off the end.
    """

    odd: tuple[int, ...] = (1,)

    def forward(self, value: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve ``(N, C, L)``."""
        return _without_last(super().forward(value, output_size), self.odd)


class CroppedTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution without its last row or column: `odd` says how many of each."""

    odd: tuple[int, ...] = (1, 1)

    def forward(self, value: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve ``(N, C, H, W)``."""
        return _without_last(super().forward(value, output_size), self.odd)


class CroppedTranspose3d(nn.ConvTranspose3d):
    """A transposed convolution without its last plane, row or column: `odd` says how many."""

    odd: tuple[int, ...] = (1, 1, 1)

    def forward(self, value: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve ``(N, C, D, H, W)``."""
        return _without_last(super().forward(value, output_size), self.odd)


def _without_last(value: Tensor, counts: Sequence[int]) -> Tensor:
    for axis, count in enumerate(counts, 2):
        value = value.narrow(axis, 0, value.shape[axis] - count)
    return value


class SeparableConv(nn.Module):
    """Each channel through its own kernels, then all of them mixed at every place."""

    def __init__(self, depthwise: nn.Module, pointwise: nn.Module) -> None:
        super().__init__()
        self.depthwise = depthwise
        self.pointwise = pointwise

    def forward(self, value: Tensor) -> Tensor:
        """Convolve ``(N, C, ...)``."""
        mixed: Tensor = self.pointwise(self.depthwise(value))
        return mixed


class Crop(nn.Module):
    """What is left between the borders of each spatial axis."""

    def __init__(self, borders: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.borders = tuple(borders)

    def forward(self, value: Tensor) -> Tensor:
        """Crop ``(N, C, ...)``."""
        for axis, (before, after) in enumerate(self.borders, 2):
            value = value.narrow(axis, before, value.shape[axis] - before - after)
        return value
