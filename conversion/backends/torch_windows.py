"""Sliding windows of Keras as PyTorch modules, along one to three spatial axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from conversion.backends.torch_operations import (
    AVERAGE_POOL,
    GlobalMax,
    SameAveragePool,
    SamePadding,
)
from conversion.backends.torch_stage import (
    Builder,
    Config,
    Layout,
    Shape,
    Stage,
)
from conversion.backends.torch_window_operations import (
    Crop,
    CroppedTranspose1d,
    CroppedTranspose2d,
    CroppedTranspose3d,
    SeparableConv,
)

Modules = tuple[Any, Any, Any]
"""The modules of one spatial axis, of two and of three."""

CONV: Modules = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED: Modules = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CROPPED: Modules = (CroppedTranspose1d, CroppedTranspose2d, CroppedTranspose3d)
MAX_POOL: Modules = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
ADAPTIVE_MAX: Modules = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
ADAPTIVE_AVERAGE: Modules = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
ZERO_PAD: Modules = (nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d)


def axes(setting: Any, rank: int) -> tuple[int, ...]:
    """One number for each spatial axis, where the setting may be one for all of them."""
    return tuple(setting) if isinstance(setting, Sequence) else (int(setting),) * rank


def layout(config: Config) -> Layout:
    """Where these modules work: a layer that is channels first in Keras is so already."""
    return "source" if config.get("data_format") == "channels_first" else "channels_first"


def _channels(config: Config, shape: Shape) -> int:
    return int((shape[0] if layout(config) == "source" else shape[-1]) or 0)


def _padded(
    config: Config, window: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[list[Stage], tuple[int, ...]]:
    """What pads ahead of the convolution, and the padding that it does itself."""
    reach = [(k - 1) * d for k, d in zip(window, dilation, strict=True)]
    none = (0,) * len(window)
    if config["padding"] == "causal":
        return [Stage("_pad", nn.ZeroPad1d((reach[0], 0)), layout(config))], none
    if config["padding"] == "valid":
        return [], none
    if all(s == 1 for s in stride) and all(r % 2 == 0 for r in reach):
        return [], tuple(r // 2 for r in reach)  # symmetric whatever the size
    return [Stage("_pad", SamePadding(window, stride, dilation, 0.0), layout(config))], none


def _conv_module(
    rank: int, config: Config, channels: int, filters: int, groups: int, bias: bool
) -> tuple[list[Stage], nn.Module]:
    window = axes(config["kernel_size"], rank)
    stride = axes(config.get("strides") or 1, rank)
    dilation = axes(config.get("dilation_rate") or 1, rank)
    stages, padding = _padded(config, window, stride, dilation)
    module = CONV[rank - 1](
        channels,
        filters,
        window,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
    )
    return stages, module


def _has_bias(config: Config) -> bool:
    return bool(config.get("use_bias", True))


def _conv(rank: int, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    channels, groups = _channels(config, shapes[0]), config.get("groups") or 1
    stages, module = _conv_module(
        rank, config, channels, config["filters"], groups, _has_bias(config)
    )
    return [*stages, Stage("", module, layout(config))]


def _depthwise(rank: int, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    channels = _channels(config, shapes[0])
    filters = channels * config["depth_multiplier"]
    stages, module = _conv_module(rank, config, channels, filters, channels, _has_bias(config))
    return [*stages, Stage("", module, layout(config))]


def _separable(rank: int, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    channels = _channels(config, shapes[0])
    middle = channels * config["depth_multiplier"]
    stages, depthwise = _conv_module(rank, config, channels, middle, channels, False)
    pointwise = CONV[rank - 1](middle, config["filters"], 1, bias=_has_bias(config))
    return [*stages, Stage("", SeparableConv(depthwise, pointwise), layout(config))]


def _transposed(rank: int, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    window = axes(config["kernel_size"], rank)
    stride = axes(config.get("strides") or 1, rank)
    dilation = axes(config.get("dilation_rate") or 1, rank)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    stated = config.get("output_padding")
    # PyTorch's own output is (size - 1) * stride + reach: how much of it is too much, by Keras.
    if config["padding"] == "valid":
        more = [max(s - r, 0) for s, r in zip(stride, reach, strict=True)]
        surplus = [-each for each in (more if stated is None else axes(stated, rank))]
    elif stated is None:
        surplus = [r - s for r, s in zip(reach, stride, strict=True)]
    else:
        surplus = [r - r % 2 - a for r, a in zip(reach, axes(stated, rank), strict=True)]
    odd = tuple(max(each, 0) % 2 for each in surplus)
    module = (CROPPED if any(odd) else TRANSPOSED)[rank - 1](
        _channels(config, shapes[0]),
        config["filters"],
        window,
        stride=stride,
        padding=tuple(max(each, 0) // 2 for each in surplus),
        output_padding=tuple(max(-each, 0) for each in surplus),
        dilation=dilation,
        bias=_has_bias(config),
    )
    if any(odd):
        module.odd = odd
    return [Stage("", module, layout(config))]


def _pool(rank: int, maximum: bool, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    window = axes(config["pool_size"], rank)
    stride = axes(config.get("strides") or window, rank)
    same, where = config["padding"] == "same", layout(config)
    if same and not maximum:
        return [Stage("", SameAveragePool(window, stride), where)]
    kinds = MAX_POOL if maximum else AVERAGE_POOL
    stages = [Stage("", kinds[rank - 1](window, stride), where)]
    if same:
        pad = SamePadding(window, stride, (1,) * rank, float("-inf"))
        stages.insert(0, Stage("_pad", pad, where))
    return stages


def _global_pool(rank: int, maximum: bool, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    module = GlobalMax() if maximum else ADAPTIVE_AVERAGE[rank - 1](1)
    stages = [Stage("", module, layout(config))]
    if not config.get("keepdims"):
        stages.append(Stage("_flat", nn.Flatten(1), layout(config), "source"))
    return stages


def _adaptive_pool(
    rank: int, modules: Modules, config: Config, shapes: Sequence[Shape]
) -> list[Stage]:
    return [Stage("", modules[rank - 1](axes(config["output_size"], rank)), layout(config))]


def _borders(setting: Any, rank: int) -> list[tuple[int, int]]:
    """Before and after along each spatial axis, where one number may stand for several."""
    several = isinstance(setting, Sequence)
    pairs = [setting] if rank == 1 else setting if several else [setting, setting]
    return [(before, after) for before, after in (axes(pair, 2) for pair in pairs)]


def _zero_padding(rank: int, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    backwards = reversed(_borders(config["padding"], rank))  # PyTorch counts from the last axis
    flat = tuple(each for pair in backwards for each in pair)
    return [Stage("", ZERO_PAD[rank - 1](flat), layout(config))]


def _cropping(rank: int, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    return [Stage("", Crop(_borders(config["cropping"], rank)), layout(config))]


def _up_sampling(rank: int, config: Config, shapes: Sequence[Shape]) -> list[Stage]:
    # "nearest" repeats the wrong pixels for some factors, such as 41 (PyTorch 2.15).
    mode = "bilinear" if config.get("interpolation") == "bilinear" else "nearest-exact"
    factors = tuple(float(each) for each in axes(config["size"], rank))
    return [Stage("", nn.Upsample(scale_factor=factors, mode=mode), layout(config))]


WEIGHTED: dict[str, Callable[..., list[Stage]]] = {
    f"{name}{rank}D{suffix}": partial(function, rank)
    for rank in (1, 2, 3)
    for name, suffix, function in (
        ("Conv", "", _conv),
        *((("DepthwiseConv", "", _depthwise), ("SeparableConv", "", _separable)) * (rank < 3)),
        ("Conv", "Transpose", _transposed),
    )
}
PLAIN: dict[str, Builder] = {
    f"{name}{rank}D": partial(function, rank, *settings)
    for rank in (1, 2, 3)
    for name, function, settings in (
        ("MaxPooling", _pool, (True,)),
        ("AveragePooling", _pool, (False,)),
        ("GlobalMaxPooling", _global_pool, (True,)),
        ("GlobalAveragePooling", _global_pool, (False,)),
        ("AdaptiveMaxPooling", _adaptive_pool, (ADAPTIVE_MAX,)),
        ("AdaptiveAveragePooling", _adaptive_pool, (ADAPTIVE_AVERAGE,)),
        ("ZeroPadding", _zero_padding, ()),
        ("Cropping", _cropping, ()),
        ("UpSampling", _up_sampling, ()),
    )
}


def layers(fused: Callable[[Config], list[Stage]]) -> dict[str, Builder]:
    """Layer class to the stages that compute it.

    Args:
        fused: the stages of the activation that a layer applies itself.
    """

    def whole(build: Builder) -> Builder:
        return lambda config, shapes: [*build(config, shapes), *fused(config)]

    return {**{kind: whole(build) for kind, build in WEIGHTED.items()}, **PLAIN}


_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "depthwise_kernel": "depthwise.weight",
    "pointwise_kernel": "pointwise.weight",
}


def parameter(kind: str, role: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """A weight of these layers under PyTorch's name and in PyTorch's layout.

    Kernels go from ``(..., in, out)`` to ``(out, in, ...)``; a transposed convolution has its
    channels exchanged in both. A depthwise one goes from ``(..., in, multiplier)`` to ``(in *
    multiplier, 1, ...)``.

    Raises:
        KeyError: no layer here has such a role.
    """
    separable = kind.startswith("Separable")
    name = "pointwise.bias" if separable and role == "bias" else _NAMES[role]
    if role == "bias":
        return name, array
    if role == "depthwise_kernel" or kind.startswith("Depthwise"):
        array = array.reshape(*array.shape[:-2], 1, -1)
    return name, np.moveaxis(array, (-1, -2), (0, 1))
