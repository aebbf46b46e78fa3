"""What the suite knows of each Keras layer: weights, output shape, cost, settings it honours.

This is the reader's half of a layer. The float64 truth and the PyTorch builder hold the other
two, each written on its own so that a slip in one cannot hide in another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from conversion.errors import UserError
from conversion.spec import Shape

Config = Mapping[str, Any]
Inputs = Sequence[Shape]

ACTIVATIONS = ("linear", "relu", "relu6", "leaky_relu", "sigmoid", "softmax", "tanh")
"""Activations by name that every route knows; their parameters are Keras's defaults."""


def _same_shape(config: Config, inputs: Inputs) -> Shape:
    return inputs[0]


def _no_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    return {}


def _no_cost(config: Config, inputs: Inputs, output: Shape) -> int:
    return 0


@dataclass(frozen=True)
class LayerRule:
    """One layer class as the reader sees it.

    Attributes:
        shape: output shape from the settings and the input shapes.
        weights: role to shape, in the order in which Keras stores them.
        cost: multiply-accumulates for one image.
        allowed: settings that may only have these values; a setting left out has the first one.
        aliases: other names under which some Keras version stores a role.
    """

    shape: Callable[[Config, Inputs], Shape] = _same_shape
    weights: Callable[[Config, Inputs], dict[str, Shape]] = _no_weights
    cost: Callable[[Config, Inputs, Shape], int] = _no_cost
    allowed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


def window_output(size: int | None, window: int, stride: int, dilation: int, padding: str) -> Any:
    """The output size of a sliding window along one axis, None where the input's size is open.

    The rule is TensorFlow's: ``ceil(size / stride)`` for ``same``, and ``ceil((size - reach + 1)
    / stride)`` for ``valid``, with ``reach = (window - 1) * dilation + 1``.
    """
    if size is None:
        return None
    reach = (window - 1) * dilation + 1
    covered = size if padding == "same" else size - reach + 1
    if covered <= 0:
        raise UserError(f"A window that reaches over {reach} does not fit an input of {size}.")
    return -(-covered // stride)


def _window(
    config: Config, shape: Shape, key: str, channels: int | None, dilated: bool = True
) -> Shape:
    strides = config.get("strides") or config[key]
    dilation = config.get("dilation_rate", (1, 1)) if dilated else (1, 1)
    axes = zip(shape[:2], config[key], strides, dilation, strict=True)
    return (*(window_output(*axis, config["padding"]) for axis in axes), channels)


def _conv(config: Config, inputs: Inputs) -> Shape:
    return _window(config, inputs[0], "kernel_size", config["filters"])


def _conv_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    channels, groups = inputs[0][-1], config.get("groups", 1)
    if not channels or channels % groups or config["filters"] % groups:
        raise UserError(f"{channels} channels do not divide into {groups} groups.")
    kernel = (*config["kernel_size"], channels // groups, config["filters"])
    return _with_bias(config, {"kernel": kernel}, config["filters"])


def _depthwise(config: Config, inputs: Inputs) -> Shape:
    channels = (inputs[0][-1] or 0) * config["depth_multiplier"]
    return _window(config, inputs[0], "kernel_size", channels)


def _depthwise_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    channels, multiplier = inputs[0][-1] or 0, config["depth_multiplier"]
    kernel = (*config["kernel_size"], channels, multiplier)
    return _with_bias(config, {"kernel": kernel}, channels * multiplier)


def _dense_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    return _with_bias(config, {"kernel": (inputs[0][-1], config["units"])}, config["units"])


def _with_bias(config: Config, weights: dict[str, Shape], size: int) -> dict[str, Shape]:
    return {**weights, "bias": (size,)} if config.get("use_bias", True) else weights


def _norm_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    axis = config["axis"][0] if isinstance(config["axis"], list) else config["axis"]
    if axis not in (-1, len(inputs[0])):
        raise UserError(f"axis {axis} is not supported; only the last axis is.")
    roles = ["gamma"] * bool(config["scale"]) + ["beta"] * bool(config["center"])
    return dict.fromkeys([*roles, "moving_mean", "moving_variance"], (inputs[0][-1],))


def _pool(config: Config, inputs: Inputs) -> Shape:
    return _window(config, inputs[0], "pool_size", inputs[0][-1], dilated=False)


def _global_pool(config: Config, inputs: Inputs) -> Shape:
    channels = inputs[0][-1]
    return (1, 1, channels) if config.get("keepdims") else (channels,)


def _concatenate(config: Config, inputs: Inputs) -> Shape:
    rank, axis = len(inputs[0]), config["axis"]
    if axis not in (*range(1, rank + 1), *range(-rank, 0)):
        raise UserError(f"axis {axis} is not supported; the images are not joined to each other.")
    axis = axis - 1 if axis > 0 else axis % rank
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}) != 1:
        raise UserError(f"inputs whose other axes differ are not supported: {list(inputs)}.")
    sizes = [shape[axis] for shape in inputs]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    return (*inputs[0][:axis], total, *inputs[0][axis + 1 :])


def _merged(config: Config, inputs: Inputs) -> Shape:
    if any(shape != inputs[0] for shape in inputs):
        raise UserError(f"inputs of different shapes are not supported: {list(inputs)}.")
    return inputs[0]


def _flatten(config: Config, inputs: Inputs) -> Shape:
    return (None if None in inputs[0] else prod(size or 0 for size in inputs[0]),)


def _reshape(config: Config, inputs: Inputs) -> Shape:
    target = list(config["target_shape"])
    if None in inputs[0]:
        return tuple(None if size == -1 else size for size in target)
    total = prod(size or 0 for size in inputs[0])
    if -1 in target:
        target[target.index(-1)] = total // max(-prod(target), 1)
    if prod(target) != total:
        raise UserError(f"target_shape {tuple(target)} does not hold the {total} values it gets.")
    return tuple(target)


def _zero_padding(config: Config, inputs: Inputs) -> Shape:
    sizes = zip(inputs[0][:2], config["padding"], strict=True)
    return (*(None if size is None else size + sum(pads) for size, pads in sizes), inputs[0][-1])


def _conv_cost(config: Config, inputs: Inputs, output: Shape) -> int:
    channels = (inputs[0][-1] or 0) // int(config.get("groups", 1))
    return prod(size or 1 for size in output) * int(prod(config["kernel_size"])) * channels


def _depthwise_cost(config: Config, inputs: Inputs, output: Shape) -> int:
    return prod(size or 1 for size in output) * int(prod(config["kernel_size"]))


def _dense_cost(config: Config, inputs: Inputs, output: Shape) -> int:
    return prod(size or 1 for size in output) * (inputs[0][-1] or 0)


_LAST = {"data_format": ("channels_last", None)}
_PADDED = {**_LAST, "padding": ("valid", "same")}
_ACTIVE = {"activation": ("linear", None, *ACTIVATIONS)}

LAYERS: dict[str, LayerRule] = {
    "InputLayer": LayerRule(),
    "Conv2D": LayerRule(_conv, _conv_weights, _conv_cost, {**_PADDED, **_ACTIVE}),
    "DepthwiseConv2D": LayerRule(
        _depthwise,
        _depthwise_weights,
        _depthwise_cost,
        {**_PADDED, **_ACTIVE, "groups": (1,)},
        {"depthwise_kernel": "kernel"},
    ),
    "Dense": LayerRule(
        lambda config, inputs: (*inputs[0][:-1], config["units"]),
        _dense_weights,
        _dense_cost,
        {**_ACTIVE, "quantization_config": (None,)},
    ),
    "BatchNormalization": LayerRule(
        weights=_norm_weights, allowed={"renorm": (False,), "virtual_batch_size": (None,)}
    ),
    "Activation": LayerRule(allowed=_ACTIVE),
    "ReLU": LayerRule(),
    "LeakyReLU": LayerRule(),
    "Softmax": LayerRule(allowed={"axis": (-1, [-1])}),
    "MaxPooling2D": LayerRule(_pool, allowed=_PADDED),
    "AveragePooling2D": LayerRule(_pool, allowed=_PADDED),
    "GlobalAveragePooling2D": LayerRule(_global_pool, allowed=_LAST),
    "GlobalMaxPooling2D": LayerRule(_global_pool, allowed=_LAST),
    "Add": LayerRule(_merged),
    "Multiply": LayerRule(_merged),
    "Concatenate": LayerRule(_concatenate),
    "Flatten": LayerRule(_flatten, allowed=_LAST),
    "Reshape": LayerRule(_reshape),
    "ZeroPadding2D": LayerRule(_zero_padding, allowed=_LAST),
    "Rescaling": LayerRule(),
    "Dropout": LayerRule(),
}
"""Every layer class that the suite reads, by its Keras name."""


def rule_for(kind: str, name: str) -> LayerRule:
    """The rule of a layer class.

    Raises:
        UserError: the class is not supported; the sentence lists those that are.
    """
    if kind not in LAYERS:
        raise UserError(
            f"Layer '{name}' is a {kind}, which is not supported; supported: "
            f"{', '.join(sorted(LAYERS))}."
        )
    return LAYERS[kind]
