"""Sliding windows in float64: convolutions, transposed ones, and pools, along one to three axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from conversion.core.spec import Layer
from conversion.proof.truth.spatial import channels_last, each_axis


def _weight(layer: Layer, role: str) -> np.ndarray:
    return layer.weights[role].astype(np.float64)


def _biased(layer: Layer, value: np.ndarray) -> np.ndarray:
    """A layer's own array with its bias, which is added in place."""
    if "bias" in layer.weights:
        value += _weight(layer, "bias")
    return value


def _pads(padding: str, size: int, reach: int, stride: int) -> tuple[int, int]:
    """What TensorFlow puts before and after: the odd pixel of `same` goes to the end."""
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return reach - 1, 0
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _windows(
    value: np.ndarray, config: Mapping[str, Any], window: Sequence[int], fill: float
) -> np.ndarray:
    """Every window of a padded array: ``(N, H, W, C)`` to ``(N, OH, OW, KH, KW, C)``, a view."""
    rank = len(window)
    strides = each_axis(config.get("strides") or config.get("pool_size") or 1, rank)
    dilation = each_axis(config.get("dilation_rate") or 1, rank)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    axes = zip(value.shape[1:-1], reach, strides, strict=True)
    pads = [_pads(config["padding"], *axis) for axis in axes]
    if any(map(any, pads)):
        value = np.pad(value, [(0, 0), *pads, (0, 0)], constant_values=fill)
    seen = sliding_window_view(value, reach, axis=tuple(range(1, rank + 1)))
    starts = tuple(slice(None, None, stride) for stride in strides)
    inside = tuple(slice(None, None, step) for step in dilation)
    return np.moveaxis(seen[(slice(None), *starts, slice(None), *inside)], rank + 1, -1)


UNROLLED = 2**19
"""Values of windows that are unrolled at a time: 4 MB, which a cache holds."""


def _blocks(windows: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Images and rows of windows, so many that they may be unrolled at once."""
    count, rows = windows.shape[:2]
    row = int(np.prod(windows.shape[2:]))
    images = min(max(UNROLLED // (rows * row), 1), count)
    high = min(max(UNROLLED // row, 1), rows)
    for first in range(0, count, images):
        for top in range(0, rows, high):
            yield slice(first, first + images), slice(top, top + high)


@channels_last
def _conv(layer: Layer, value: np.ndarray) -> np.ndarray:
    kernel = _weight(layer, "kernel")
    *window, depth, filters = kernel.shape
    windows = _windows(value, layer.config, window, 0.0)
    groups = windows.shape[-1] // depth
    places = windows.shape[: len(window) + 1]
    whole = np.empty((*places, filters))
    for group in range(groups):
        mine = windows[..., group * depth : (group + 1) * depth]
        share = slice(group * filters // groups, (group + 1) * filters // groups)
        flat = kernel[..., share].reshape(-1, filters // groups)
        for block in _blocks(mine):
            found = mine[block].reshape(-1, len(flat)) @ flat
            part = whole[block]
            part[..., share] = found.reshape(*part.shape[:-1], -1)
    return _biased(layer, whole)


def _spread(value: np.ndarray, config: Mapping[str, Any], kernel: np.ndarray) -> np.ndarray:
    """Each channel through its own kernels: ``(..., C)`` to ``(..., C * multiplier)``."""
    *window, _, _ = kernel.shape
    windows = _windows(value, config, window, 0.0)
    inner = "ij"[: len(window)]
    products = np.einsum(f"...{inner}c,{inner}cm->...cm", windows, kernel)
    return np.asarray(products.reshape(*products.shape[:-2], -1))


@channels_last
def _depthwise(layer: Layer, value: np.ndarray) -> np.ndarray:
    return _biased(layer, _spread(value, layer.config, _weight(layer, "kernel")))


@channels_last
def _separable(layer: Layer, value: np.ndarray) -> np.ndarray:
    spread = _spread(value, layer.config, _weight(layer, "depthwise_kernel"))
    pointwise = _weight(layer, "pointwise_kernel")
    return _biased(layer, spread @ pointwise.reshape(pointwise.shape[-2:]))


@channels_last
def _transposed(layer: Layer, value: np.ndarray) -> np.ndarray:
    """Every value is painted through the kernel at its stride; what lies outside is cut off."""
    config, kernel = layer.config, _weight(layer, "kernel")
    *window, filters, _ = kernel.shape
    rank, sizes = len(window), value.shape[1:-1]
    strides = each_axis(config.get("strides") or 1, rank)
    dilation = each_axis(config.get("dilation_rate") or 1, rank)
    stated = config.get("output_padding")
    added = [None] * rank if stated is None else list(each_axis(stated, rank))
    axes = list(zip(sizes, window, strides, dilation, added, strict=True))
    ends = [_transposed_ends(config["padding"], *axis) for axis in axes]
    room = [
        max((n - 1) * s + (k - 1) * d + 1, last)
        for (n, k, s, d, _), (_, last) in zip(axes, ends, strict=True)
    ]
    whole = np.zeros((len(value), *room, filters))
    for place in product(*map(range, window)):
        at = tuple(
            slice(p * d, p * d + (n - 1) * s + 1, s)
            for p, (n, _, s, d, _) in zip(place, axes, strict=True)
        )
        whole[(slice(None), *at)] += value @ kernel[place].T
    cut = tuple(slice(first, last) for first, last in ends)
    return _biased(layer, whole[(slice(None), *cut)])


def _transposed_ends(
    padding: str, size: int, window: int, stride: int, dilation: int, added: int | None
) -> tuple[int, int]:
    """Where the output begins and ends in all that the kernel paints.

    It is what a convolution with that padding would read to give the input's size: see
    `compute_conv_transpose_output_shape` of Keras and `conv2d_transpose` of TensorFlow.
    """
    reach, start = (window - 1) * dilation + 1, (size - 1) * stride
    if padding == "valid":
        return 0, start + (max(reach, stride) if added is None else reach + added)
    given = start + (stride if added is None else reach % 2 + added)
    first = max(start + reach - given, 0) // 2
    return first, first + given


@channels_last
def _max_pool(layer: Layer, value: np.ndarray) -> np.ndarray:
    pool = each_axis(layer.config["pool_size"], value.ndim - 2)
    windows = _windows(value, layer.config, pool, -np.inf)
    return _over(windows, pool, np.maximum)


@channels_last
def _average_pool(layer: Layer, value: np.ndarray) -> np.ndarray:
    pool = each_axis(layer.config["pool_size"], value.ndim - 2)
    summed = _over(_windows(value, layer.config, pool, 0.0), pool, np.add)
    # Keras divides by the pixels under the window, not by the padding.
    ones = np.ones((1, *value.shape[1:-1], 1))
    return np.asarray(summed / _over(_windows(ones, layer.config, pool, 0.0), pool, np.add))


def _over(windows: np.ndarray, pool: Sequence[int], join: np.ufunc) -> np.ndarray:
    """The values under each window joined into one."""
    first, *others = (windows[_at(place)] for place in product(*map(range, pool)))
    whole = np.array(first)
    for other in others:
        join(whole, other, out=whole)
    return whole


def _at(place: Sequence[int]) -> Any:
    return (..., *place, slice(None))


def _global(reduce: Callable[..., Any]) -> Callable[[Layer, np.ndarray], np.ndarray]:
    def pool(layer: Layer, value: np.ndarray) -> np.ndarray:
        first = layer.config.get("data_format") == "channels_first"
        axes = tuple(range(2, value.ndim) if first else range(1, value.ndim - 1))
        return np.asarray(reduce(value, axis=axes, keepdims=bool(layer.config.get("keepdims"))))

    return pool


def _adaptive(reduce: Callable[..., Any]) -> Callable[[Layer, np.ndarray], np.ndarray]:
    """As many windows as the output is long, each from floor(i n / m) to ceil((i + 1) n / m)."""

    @channels_last
    def pool(layer: Layer, value: np.ndarray) -> np.ndarray:
        wanted = each_axis(layer.config["output_size"], value.ndim - 2)
        for axis, number in enumerate(wanted, 1):
            size = value.shape[axis]
            windows = [
                range(i * size // number, -(-(i + 1) * size // number)) for i in range(number)
            ]
            parts = [reduce(value.take(each, axis), axis=axis) for each in windows]
            value = np.stack(parts, axis)
        return value

    return pool


LAYERS: dict[str, Callable[..., np.ndarray]] = {
    f"{name}{rank}D{suffix}": function
    for rank in (1, 2, 3)
    for name, suffix, function in (
        ("Conv", "", _conv),
        *((("DepthwiseConv", "", _depthwise), ("SeparableConv", "", _separable)) * (rank < 3)),
        ("Conv", "Transpose", _transposed),
        ("MaxPooling", "", _max_pool),
        ("AveragePooling", "", _average_pool),
        ("GlobalMaxPooling", "", _global(np.max)),
        ("GlobalAveragePooling", "", _global(np.mean)),
        ("AdaptiveMaxPooling", "", _adaptive(np.max)),
        ("AdaptiveAveragePooling", "", _adaptive(np.mean)),
    )
}
"""Layer class to its arithmetic, before the layer's own activation."""
