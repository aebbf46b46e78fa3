"""Keras layers as PyTorch modules: settings, padding and layouts, one builder a layer class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from conversion.backends.torch_operations import (
    Add,
    Concatenate,
    GlobalMax,
    Multiply,
    NormOfLastAxis,
    Rescaling,
    Reshape,
    SameAveragePool,
    SamePadding,
    ThresholdRelu,
    pair,
)

Layout = Literal["source", "channels_first", "any"]
"""What a module takes and gives: Keras's own layout, ``(N, C, H, W)``, or whichever comes."""

Config = Mapping[str, Any]
Shape = Sequence[int | None]


@dataclass(frozen=True)
class Stage:
    """One module of a layer.

    Attributes:
        suffix: added to the layer's name; empty for the module that holds the weights.
        module: the module.
        layout: the layout that it works in.
        gives: the layout of what it returns, where that is another one.
    """

    suffix: str
    module: nn.Module
    layout: Layout = "any"
    gives: Layout | None = None


ACTIVATIONS: dict[str, Callable[[], Stage]] = {
    "relu": lambda: Stage("_relu", nn.ReLU()),
    "relu6": lambda: Stage("_relu6", nn.ReLU6()),
    "leaky_relu": lambda: Stage("_leaky_relu", nn.LeakyReLU(0.2)),
    "sigmoid": lambda: Stage("_sigmoid", nn.Sigmoid()),
    "softmax": lambda: Stage("_softmax", nn.Softmax(dim=-1), "source"),
    "tanh": lambda: Stage("_tanh", nn.Tanh()),
}
"""Activation name to its stage; ``linear`` is none."""


def _named(stage: Stage) -> Stage:
    return Stage("", stage.module, stage.layout)


def _activation(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    name = config.get("activation") or "linear"
    return [Stage("", nn.Identity()) if name == "linear" else _named(ACTIVATIONS[name]())]


def _relu(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    plain = not any(config.get(key) for key in ("negative_slope", "threshold"))
    ceiling = config.get("max_value")
    if plain and ceiling in (None, 6.0):
        return [Stage("", nn.ReLU() if ceiling is None else nn.ReLU6())]
    return [Stage("", ThresholdRelu(config))]


def _fused(config: Config) -> list[Stage]:
    name = config.get("activation") or "linear"
    return [] if name == "linear" else [ACTIVATIONS[name]()]


def _conv(
    config: Config, channels: int, filters: int, groups: int, stride: Sequence[int]
) -> list[Stage]:
    window, dilation = config["kernel_size"], config.get("dilation_rate") or (1, 1)
    stages: list[Stage] = []
    padding = (0, 0)
    if config["padding"] == "same":
        reach = [(k - 1) * d for k, d in zip(window, dilation, strict=True)]
        if all(s == 1 for s in stride) and all(r % 2 == 0 for r in reach):
            padding = pair([r // 2 for r in reach])  # symmetric whatever the size
        else:
            pad = SamePadding(window, stride, dilation, 0.0)
            stages.append(Stage("_pad", pad, "channels_first"))
    module = nn.Conv2d(
        channels,
        filters,
        pair(window),
        stride=pair(stride),
        padding=padding,
        dilation=pair(dilation),
        groups=groups,
        bias=bool(config.get("use_bias", True)),
    )
    return [*stages, Stage("", module, "channels_first"), *_fused(config)]


def _conv2d(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    channels = int(shapes[0][-1] or 0)
    return _conv(config, channels, config["filters"], config.get("groups", 1), config["strides"])


def _depthwise(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    channels = int(shapes[0][-1] or 0)
    filters = channels * config["depth_multiplier"]
    return _conv(config, channels, filters, channels, config["strides"])


def _dense(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    bias = bool(config.get("use_bias", True))
    module = nn.Linear(int(shapes[0][-1] or 0), config["units"], bias=bias)
    return [Stage("", module, "source"), *_fused(config)]


def _norm(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    channels, eps = int(shapes[0][-1] or 0), float(config["epsilon"])  # PyTorch's own is 1e-5
    if len(shapes[0]) == 3:
        return [Stage("", nn.BatchNorm2d(channels, eps=eps), "channels_first")]
    return [Stage("", NormOfLastAxis(channels, eps=eps), "source")]


def _pool(config: Config, maximum: bool) -> list[Stage]:
    window, stride = config["pool_size"], config.get("strides") or config["pool_size"]
    if not maximum and config["padding"] == "same":
        return [Stage("", SameAveragePool(window, stride), "channels_first")]
    kind = nn.MaxPool2d if maximum else nn.AvgPool2d
    stages = [Stage("", kind(pair(window), pair(stride)), "channels_first")]
    if config["padding"] == "same":
        pad = SamePadding(window, stride, (1, 1), float("-inf"))
        stages.insert(0, Stage("_pad", pad, "channels_first"))
    return stages


def _global_pool(module: nn.Module, config: Config) -> list[Stage]:
    stages = [Stage("", module, "channels_first")]
    if not config.get("keepdims"):
        stages.append(Stage("_flat", nn.Flatten(1), "channels_first", "source"))
    return stages


def _concatenate(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    rank = len(shapes[0]) + 1
    axis = config["axis"] % rank
    if rank == 4:
        return [Stage("", Concatenate({1: 2, 2: 3, 3: 1}[axis]), "channels_first")]
    return [Stage("", Concatenate(axis), "source")]


def _zero_padding(config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    (top, bottom), (left, right) = config["padding"]
    return [Stage("", nn.ZeroPad2d((left, right, top, bottom)), "channels_first")]


Builder = Callable[[Config, Sequence[Shape]], list[Stage]]

LAYERS: dict[str, Builder] = {
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise,
    "Dense": _dense,
    "BatchNormalization": _norm,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": lambda config, shapes: [
        Stage("", nn.LeakyReLU(float(config.get("negative_slope", config.get("alpha")))))
    ],
    "Softmax": lambda config, shapes: [Stage("", nn.Softmax(dim=-1), "source")],
    "MaxPooling2D": lambda config, shapes: _pool(config, maximum=True),
    "AveragePooling2D": lambda config, shapes: _pool(config, maximum=False),
    "GlobalAveragePooling2D": lambda config, shapes: _global_pool(nn.AdaptiveAvgPool2d(1), config),
    "GlobalMaxPooling2D": lambda config, shapes: _global_pool(GlobalMax(), config),
    "Add": lambda config, shapes: [Stage("", Add())],
    "Multiply": lambda config, shapes: [Stage("", Multiply())],
    "Concatenate": _concatenate,
    "Flatten": lambda config, shapes: [Stage("", nn.Flatten(1), "source")],
    "Reshape": lambda config, shapes: [Stage("", Reshape(config["target_shape"]), "source")],
    "ZeroPadding2D": _zero_padding,
    "Rescaling": lambda config, shapes: [
        Stage("", Rescaling(config["scale"], config["offset"]), "source")
    ],
    "Dropout": lambda config, shapes: [Stage("", nn.Identity())],
}
"""Layer class to the stages that compute it."""


def _kernel_to_torch(kind: str, kernel: np.ndarray) -> np.ndarray:
    if kind == "Dense":
        return kernel.T
    if kind == "DepthwiseConv2D":  # (H, W, in, multiplier) to (in * multiplier, 1, H, W)
        height, width = kernel.shape[:2]
        return kernel.reshape(height, width, 1, -1).transpose(3, 2, 0, 1)
    return kernel.transpose(3, 2, 0, 1)  # (H, W, in, out) to (out, in, H, W)


_ROLES = {
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def parameters(kind: str, config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """A layer's weights under PyTorch's names and in PyTorch's layout.

    Args:
        kind: the Keras class name.
        config: the layer's settings.
        weights: arrays by role, in Keras's layout.

    Returns:
        Parameter or buffer name to a float32 tensor; every weight is used exactly once.

    Raises:
        KeyError: a role that no rule knows, or two for one name: a weight would be left unused.
    """
    found: dict[str, Tensor] = {}
    for role, array in weights.items():
        name = "weight" if role == "kernel" else _ROLES[role]
        if name in found:
            raise KeyError(f"{role} beside another weight that is '{name}' in PyTorch")
        arranged = _kernel_to_torch(kind, array) if role == "kernel" else array
        found[name] = torch.from_numpy(np.ascontiguousarray(arranged).copy())
    if kind == "BatchNormalization":
        size = max(map(len, weights.values()), default=0)
        for setting, name, neutral in (("scale", "weight", 1.0), ("center", "bias", 0.0)):
            if not config[setting]:
                if name in found:
                    raise KeyError(f"{name}, for which {setting}=False leaves no place")
                found[name] = torch.full((size,), neutral)
        found["num_batches_tracked"] = torch.tensor(0)
    return found
