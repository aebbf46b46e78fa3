"""The float64 truth: a spec evaluated with numpy, by code that no backend shares.

It is slow and plain on purpose. Its rounding lies far below float32's, so the distance of Keras
from it is Keras's own rounding noise, and the distance of an artifact from it is that noise plus
whatever the conversion broke.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from conversion.spec import Layer, Spec

CHUNK = 50
"""Images evaluated at a time: bounds the memory of the unrolled convolutions."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a spec gives for some inputs, in float64.

    Attributes:
        layers: layer name to its output, ``(N, ...)`` in Keras's layout.
        logits: output layer's name to its values before softmax or sigmoid.
    """

    layers: Mapping[str, np.ndarray]
    logits: Mapping[str, np.ndarray]


def evaluate(
    spec: Spec,
    inputs: Mapping[str, np.ndarray],
    keep: Collection[str] | None = None,
    given: Mapping[str, np.ndarray] | None = None,
) -> Evaluation:
    """Evaluate a spec in float64.

    Args:
        spec: the model.
        inputs: input name to array, ``(N, ...)`` in Keras's layout, any numeric dtype.
        keep: layers whose outputs to return; None for all of them.
        given: layer name to the output that it is to have, ``(N, ...)``, in place of its own; what
            only leads to such layers is not evaluated.

    Returns:
        Outputs of the kept layers and the logits of every output that was evaluated.
    """
    kept = {layer.name for layer in spec.layers} if keep is None else set(keep)
    known = dict(given or {})
    needed = _needed(spec, kept | (set() if known else set(spec.outputs)), known)
    count = len(next(iter({**inputs, **known}.values())))
    layers: dict[str, list[np.ndarray]] = {name: [] for name in kept}
    wanted = [name for name in spec.outputs if name in needed and name not in known]
    logits: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    for start in range(0, count, CHUNK):
        chunk = {name: array[start : start + CHUNK] for name, array in inputs.items()}
        values = {name: array[start : start + CHUNK] for name, array in known.items()}
        for layer in spec.layers:
            if layer.name not in needed:
                continue
            if layer.name not in known:
                plain, values[layer.name] = _layer(layer, chunk, values)
                if layer.name in logits:
                    logits[layer.name].append(plain)
            if layer.name in kept:
                layers[layer.name].append(values[layer.name])
    return Evaluation(
        {name: np.concatenate(parts) for name, parts in layers.items()},
        {name: np.concatenate(parts) for name, parts in logits.items()},
    )


def _needed(spec: Spec, kept: Collection[str], given: Collection[str]) -> set[str]:
    """The kept layers and all that they are computed from, up to those that are given."""
    needed = set(kept)
    for layer in reversed(spec.layers):
        if layer.name in needed and layer.name not in given:
            needed |= set(layer.inputs)
    return needed


def _layer(
    layer: Layer, chunk: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The layer's values before and after its activation."""
    if layer.kind == "InputLayer":
        image = np.asarray(chunk[layer.name], dtype=np.float64)
        return image, image
    sources = [values[name] for name in layer.inputs]
    plain = sources[0] if layer.kind == "Softmax" else LAYERS[layer.kind](layer, *sources)
    activation = "softmax" if layer.kind == "Softmax" else layer.activation
    return plain, ACTIVATIONS[activation](plain)


def _weight(layer: Layer, role: str) -> np.ndarray:
    return layer.weights[role].astype(np.float64)


def _biased(layer: Layer, value: np.ndarray) -> np.ndarray:
    return value + _weight(layer, "bias") if "bias" in layer.weights else value


def _same_pads(size: int, reach: int, stride: int) -> tuple[int, int]:
    """TensorFlow's `same`: the odd pixel goes to the bottom and right."""
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _windows(
    value: np.ndarray, config: Mapping[str, Any], window: tuple[int, int], fill: float
) -> np.ndarray:
    """Every window of a padded ``(N, H, W, C)`` array: ``(N, OH, OW, C, KH, KW)``."""
    strides = config.get("strides") or window
    dilation = config.get("dilation_rate") or (1, 1)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if config["padding"] == "same":
        sizes = zip(value.shape[1:3], reach, strides, strict=True)
        pads = [(0, 0), *(_same_pads(*each) for each in sizes), (0, 0)]
        value = np.pad(value, pads, constant_values=fill)
    rows, columns = strides
    seen = sliding_window_view(value, (reach[0], reach[1]), axis=(1, 2))
    return seen[:, ::rows, ::columns, :, :: dilation[0], :: dilation[1]]


def _conv(layer: Layer, value: np.ndarray) -> np.ndarray:
    kernel = _weight(layer, "kernel")
    height, width, depth, filters = kernel.shape
    groups = value.shape[-1] // depth
    windows = _windows(value, layer.config, (height, width), 0.0)
    images, rows, columns = windows.shape[:3]
    parts = []
    for group in range(groups):
        mine = windows[:, :, :, group * depth : (group + 1) * depth]
        share = slice(group * filters // groups, (group + 1) * filters // groups)
        flat = kernel[..., share].transpose(2, 0, 1, 3).reshape(depth * height * width, -1)
        parts.append(mine.reshape(images * rows * columns, -1) @ flat)
    return _biased(layer, np.concatenate(parts, axis=1).reshape(images, rows, columns, filters))


def _depthwise(layer: Layer, value: np.ndarray) -> np.ndarray:
    kernel = _weight(layer, "kernel")
    windows = _windows(value, layer.config, (kernel.shape[0], kernel.shape[1]), 0.0)
    products = np.einsum("nhwcij,ijcm->nhwcm", windows, kernel)
    return _biased(layer, products.reshape(*products.shape[:3], -1))


def _dense(layer: Layer, value: np.ndarray) -> np.ndarray:
    return _biased(layer, value @ _weight(layer, "kernel"))


def _norm(layer: Layer, value: np.ndarray) -> np.ndarray:
    spread = np.sqrt(_weight(layer, "moving_variance") + layer.config["epsilon"])
    result = (value - _weight(layer, "moving_mean")) / spread
    if "gamma" in layer.weights:
        result = result * _weight(layer, "gamma")
    shifted = result + _weight(layer, "beta") if "beta" in layer.weights else result
    return np.asarray(shifted)


def _max_pool(layer: Layer, value: np.ndarray) -> np.ndarray:
    pool = tuple(layer.config["pool_size"])
    windows = _windows(value, layer.config, (pool[0], pool[1]), -np.inf)
    return np.asarray(windows.max(axis=(-2, -1)))


def _average_pool(layer: Layer, value: np.ndarray) -> np.ndarray:
    pool = tuple(layer.config["pool_size"])
    summed = _windows(value, layer.config, (pool[0], pool[1]), 0.0).sum(axis=(-2, -1))
    ones = np.ones((1, *value.shape[1:3], 1))
    # Keras divides by the pixels under the window, not by the padding.
    counts = _windows(ones, layer.config, (pool[0], pool[1]), 0.0).sum(axis=(-2, -1))
    return np.asarray(summed / counts)


def _global(reduce: Callable[..., Any]) -> Callable[[Layer, np.ndarray], np.ndarray]:
    def pool(layer: Layer, value: np.ndarray) -> np.ndarray:
        return np.asarray(reduce(value, axis=(1, 2), keepdims=bool(layer.config.get("keepdims"))))

    return pool


def _relu(layer: Layer, value: np.ndarray) -> np.ndarray:
    config = layer.config
    threshold, slope = config.get("threshold") or 0.0, config.get("negative_slope") or 0.0
    # A value at the threshold itself becomes 0 in Keras: whole numbers meet it.
    result = np.where(value > threshold, value, slope * (value - threshold))
    return result if config.get("max_value") is None else np.minimum(result, config["max_value"])


def _leaky_relu(layer: Layer, value: np.ndarray) -> np.ndarray:
    slope = layer.config.get("negative_slope", layer.config.get("alpha"))
    return np.where(value >= 0, value, float(slope) * value)


def _reshape(layer: Layer, value: np.ndarray) -> np.ndarray:
    return value.reshape(len(value), *layer.config["target_shape"])


def _zero_padding(layer: Layer, value: np.ndarray) -> np.ndarray:
    (top, bottom), (left, right) = layer.config["padding"]
    return np.pad(value, ((0, 0), (top, bottom), (left, right), (0, 0)))


def _rescaling(layer: Layer, value: np.ndarray) -> np.ndarray:
    scale, offset = (_constant(layer.config[key]) for key in ("scale", "offset"))
    return np.asarray(value * scale + offset)


def _constant(value: Any) -> np.ndarray:
    """A number or a list of them; Keras 3 wraps an array in a mapping."""
    return np.asarray(value["config"]["value"] if isinstance(value, Mapping) else value, np.float64)


def _softmax(value: np.ndarray) -> np.ndarray:
    shifted = np.exp(value - value.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def _sum(layer: Layer, *values: np.ndarray) -> np.ndarray:
    return np.asarray(sum(values[1:], values[0]))


def _product(layer: Layer, *values: np.ndarray) -> np.ndarray:
    result = values[0]
    for value in values[1:]:
        result = result * value
    return result


def _unchanged(layer: Layer, value: np.ndarray) -> np.ndarray:
    return value


LAYERS: dict[str, Callable[..., np.ndarray]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "Dense": _dense,
    "BatchNormalization": _norm,
    "Activation": _unchanged,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "GlobalAveragePooling2D": _global(np.mean),
    "GlobalMaxPooling2D": _global(np.max),
    "Add": _sum,
    "Multiply": _product,
    "Concatenate": lambda layer, *values: np.concatenate(values, axis=layer.config["axis"]),
    "Flatten": lambda layer, value: value.reshape(len(value), -1),
    "Reshape": _reshape,
    "ZeroPadding2D": _zero_padding,
    "Rescaling": _rescaling,
    "Dropout": _unchanged,
}
"""Layer class to its arithmetic, before the layer's own activation."""

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda value: value,
    "relu": lambda value: np.maximum(value, 0.0),
    "relu6": lambda value: np.clip(value, 0.0, 6.0),
    "leaky_relu": lambda value: np.where(value >= 0, value, 0.2 * value),
    "sigmoid": lambda value: 0.5 * (1.0 + np.tanh(0.5 * value)),
    "softmax": _softmax,
    "tanh": np.tanh,
}
"""Activation name to its function, with Keras's default parameters."""
