"""Keras's dense, activation, merging and reshaping layers as PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conversion.backends import torch_activations
from conversion.backends.torch_operations import (
    Add,
    Concatenate,
    Multiply,
    Rescaling,
    Reshape,
)
from conversion.backends.torch_stage import (
    Builder,
    Config,
    Shape,
    Stage,
)

TRAINING_ONLY = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("GaussianDropout", "AlphaDropout"),
    *("GaussianNoise", "ActivityRegularization", "Identity", "RandomFlip", "RandomRotation"),
    *("RandomZoom", "RandomContrast", "RandomBrightness", "RandomTranslation"),
    *("RandomShear", "RandomPerspective", "RandomElasticTransform", "RandomErasing"),
    *("RandomHue", "RandomSaturation", "RandomColorDegeneration", "RandomColorJitter"),
    *("RandomGrayscale", "RandomInvert", "RandomPosterization", "RandomSharpness"),
    *("RandomGaussianBlur", "RandAugment", "AugMix", "CutMix", "MixUp", "Solarization"),
    *("MaxNumBoundingBoxes", "RandomCrop"),
)
"""Layers that give at inference what they get."""


class PRelu(nn.Module):
    """A slope of its own below 0 for every element, or shared along some axes."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*sizes))

    def forward(self, value: Tensor) -> Tensor:
        """Compute it in the source layout."""
        return torch.where(value >= 0, value, self.weight * value)


class Subtract(nn.Module):
    """The first input less the second."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Subtract tensors whose shapes fit each other."""
        return first - second


class Average(nn.Module):
    """The mean of its inputs."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Average tensors whose shapes fit each other."""
        total: Tensor = reduce(torch.add, others, first)
        return total / (1 + len(others))


class Maximum(nn.Module):
    """The largest of its inputs, element by element."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Compare tensors whose shapes fit each other."""
        return reduce(torch.maximum, others, first)


class Minimum(nn.Module):
    """The least of its inputs, element by element."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Compare tensors whose shapes fit each other."""
        return reduce(torch.minimum, others, first)


class Grown(nn.Module):
    """A merge of tensors of which some have fewer axes: they get them behind the batch."""

    def __init__(self, merge: nn.Module) -> None:
        super().__init__()
        self.merge = merge

    def forward(self, *values: Tensor) -> Tensor:
        """Merge tensors in the source layout."""
        rank = max(value.ndim for value in values)
        grown = [v[(slice(None), *[None] * (rank - v.ndim))] for v in values]
        merged: Tensor = self.merge(*grown)
        return merged


class Dot(nn.Module):
    """The sum over one axis of each of two inputs, image by image."""

    def __init__(self, axes: Sequence[int], unit: bool) -> None:
        super().__init__()
        self.axes = tuple(axes)
        self.unit = unit

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Multiply tensors in the source layout."""
        left, right = first.movedim(self.axes[0], -1), second.movedim(self.axes[1], 1)
        if self.unit:  # Keras's epsilon
            left, right = F.normalize(left, dim=-1, eps=1e-7), F.normalize(right, dim=1, eps=1e-7)
        sizes = (*left.shape[1:-1], *right.shape[2:])
        rows = left.reshape(left.shape[0], -1, left.shape[-1])
        product = rows @ right.reshape(right.shape[0], right.shape[1], -1)
        return product.reshape(len(product), *(sizes or (1,)))


class Permute(nn.Module):
    """Another order of the axes."""

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = (0, *dims)

    def forward(self, value: Tensor) -> Tensor:
        """Permute everything but the batch axis, in the source layout."""
        return value.permute(self.dims)


class RepeatVector(nn.Module):
    """A vector several times below itself."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, value: Tensor) -> Tensor:
        """From ``(N, C)`` to ``(N, count, C)``."""
        return value.unsqueeze(1).repeat(1, self.count, 1)


class Resize(nn.Module):
    """Images of another size; the centres of pixels lie at halves, as in TensorFlow 2."""

    def __init__(self, size: Sequence[int], interpolation: str) -> None:
        super().__init__()
        self.size = list(size)
        self.nearest = interpolation == "nearest"

    def forward(self, value: Tensor) -> Tensor:
        """Resize ``(N, C, H, W)``."""
        if self.nearest:
            return F.interpolate(value, self.size, mode="nearest-exact")
        return F.interpolate(value, self.size, mode="bilinear", align_corners=False)


def _dense(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    bias = bool(config.get("use_bias", True))
    module = nn.Linear(int(shapes[0][-1] or 0), config["units"], bias=bias)
    return [Stage("", module, "source"), *torch_activations.fused(config)]


def _activation(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    setting = config.get("activation") or "linear"
    if setting == "linear":
        return [Stage("", nn.Identity())]
    return [torch_activations.stage(setting)]


def _activation_layer(kind: str) -> Builder:
    return lambda config, shapes: [torch_activations.layer_stage(kind, config)]


def _prelu(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    shared = config.get("shared_axes") or []
    axes = {axis % (len(shapes[0]) + 1) for axis in shared}
    sizes = [1 if i in axes else int(size or 0) for i, size in enumerate(shapes[0], start=1)]
    return [Stage("", PRelu(sizes), "source")]


def _merge(module: Callable[[], nn.Module]) -> Builder:
    def build(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
        if len({len(shape) for shape in shapes}) > 1:
            return [Stage("", Grown(module()), "source")]
        return [Stage("", module())]

    return build


def _concatenate(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    rank = len(shapes[0]) + 1
    axis = config["axis"] % rank
    if rank == 4:
        return [Stage("", Concatenate({1: 2, 2: 3, 3: 1}[axis]), "channels_first")]
    return [Stage("", Concatenate(axis), "source")]


def _dot(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    axes = config["axes"]
    pair = [axes, axes] if isinstance(axes, int) else axes
    ranks = [len(shape) + 1 for shape in shapes]
    counted = [axis % rank for axis, rank in zip(pair, ranks, strict=True)]
    return [Stage("", Dot(counted, bool(config.get("normalize"))), "source")]


def _flatten(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    rank = len(shapes[0])
    stages = [Stage("", nn.Flatten(1), "source")]
    if config.get("data_format") == "channels_first" and rank > 1:
        stages.insert(0, Stage("_last", Permute([*range(2, rank + 1), 1]), "source"))
    return stages


def _resizing(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    first = config.get("data_format") == "channels_first"
    size = (config["height"], config["width"])
    module = Resize(size, config.get("interpolation", "bilinear"))
    return [Stage("", module, "source" if first else "channels_first")]


def _unchanged(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    return [Stage("", nn.Identity())]


LAYERS: dict[str, Builder] = {
    "Dense": _dense,
    "Activation": _activation,
    **{kind: _activation_layer(kind) for kind in torch_activations.LAYERS},
    "PReLU": _prelu,
    "Rescaling": lambda config, shapes: [
        Stage("", Rescaling(config["scale"], config["offset"]), "source")
    ],
    "Add": _merge(Add),
    "Subtract": _merge(Subtract),
    "Multiply": _merge(Multiply),
    "Average": _merge(Average),
    "Maximum": _merge(Maximum),
    "Minimum": _merge(Minimum),
    "Concatenate": _concatenate,
    "Dot": _dot,
    "Flatten": _flatten,
    "Reshape": lambda config, shapes: [Stage("", Reshape(config["target_shape"]), "source")],
    "Permute": lambda config, shapes: [Stage("", Permute(config["dims"]), "source")],
    "RepeatVector": lambda config, shapes: [Stage("", RepeatVector(config["n"]), "source")],
    "Resizing": _resizing,
    **dict.fromkeys(TRAINING_ONLY, _unchanged),
}
"""Layer class to the stages that compute it."""
