"""Layers whose window slides over one to three spatial axes, as the reader sees them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

from conversion.core.errors import UserError
from conversion.core.layer_rule import (
    Config,
    Inputs,
    LayerRule,
    with_bias,
)
from conversion.core.spec import Shape
from conversion.readers.activations import ACTIVE
from conversion.readers.spatial_axes import (
    FORMATS,
    is_first,
    joined,
    parted,
    per_axis,
)

PADDINGS = ("valid", "same")


def window_output(size: int | None, window: int, stride: int, dilation: int, padding: str) -> Any:
    """The output size of a sliding window along one axis, None where the input's size is open.

    The rule is TensorFlow's: ``ceil(size / stride)`` for ``same``, and ``ceil((size - reach + 1)
    / stride)`` for ``valid``, with ``reach = (window - 1) * dilation + 1``; ``causal`` pads by
    ``reach - 1``, all of it before the first value.
    """
    if size is None:
        return None
    reach = (window - 1) * dilation + 1
    covered = size - reach + 1 if padding == "valid" else size
    if covered <= 0:
        raise UserError(f"A window that reaches over {reach} does not fit an input of {size}.")
    return -(-covered // stride)


def transposed_output(
    padding: str, size: int | None, window: int, stride: int, dilation: int, added: int | None
) -> int | None:
    """The output size of a transposed convolution along one axis, None where the input's is open.

    The rule is Keras's: with ``reach = (window - 1) * dilation + 1``, ``valid`` gives ``(size - 1)
    * stride + max(reach, stride)`` and ``same`` gives ``size * stride``; where ``output_padding``
    is stated, ``valid`` gives ``(size - 1) * stride + reach`` and ``same`` ``(size - 1) * stride +
    reach % 2``, plus that padding.
    """
    reach = (window - 1) * dilation + 1
    if added is not None and not 0 <= added < stride:
        raise UserError(f"output_padding {added} is not below its stride {stride}, as Keras wants.")
    if padding == "valid":
        last = max(reach, stride) if added is None else reach + added
    else:
        last = stride if added is None else reach % 2 + added
    if last == 0:
        raise UserError(
            "output_padding 0 beside padding 'same' and a window that reaches over an even "
            f"{reach} is refused by TensorFlow: leave output_padding out."
        )
    return None if size is None else (size - 1) * stride + last


def windowed(config: Config, sizes: Shape, key: str) -> list[int | None]:
    """The output sizes along all axes.

    Args:
        config: the layer's settings.
        sizes: the input's, along the spatial axes.
        key: the setting that has the window's sizes.
    """
    rank = len(sizes)
    window = per_axis(config[key], rank)
    strides = per_axis(config.get("strides") or (window if key == "pool_size" else 1), rank)
    dilation = per_axis(config.get("dilation_rate") or 1, rank)
    axes = zip(sizes, window, strides, dilation, strict=True)
    return [window_output(*axis, config["padding"]) for axis in axes]


def _refuse_strides_with_dilation(config: Config, rank: int) -> None:
    steps = [per_axis(config.get(key) or 1, rank) for key in ("strides", "dilation_rate")]
    if all(max(each) > 1 for each in steps):
        strides, dilation = steps
        raise UserError(f"Keras has no strides {strides} together with dilation_rate {dilation}.")


def _refuse_unequal_strides(config: Config, rank: int) -> None:
    strides = per_axis(config.get("strides") or 1, rank)
    plain = max(per_axis(config.get("dilation_rate") or 1, rank)) == 1
    if plain and len(set(strides)) > 1:
        raise UserError(
            f"strides {strides} differ; TensorFlow computes depthwise convolutions of equal ones."
        )


def _biased(config: Config, sizes: Sequence[int | None], channels: int) -> Shape:
    """The shape of what a bias is added to.

    Raises:
        UserError: Keras would add it along the wrong axis: its TensorFlow backend takes the last
            axis for the channels wherever that is as long as the bias.
    """
    shape = joined(config, sizes, channels)
    if is_first(config) and config.get("use_bias", True) and shape[-1] == channels > 1:
        raise UserError(
            f"it is channels_first and its output {shape} is as wide as its bias is long, which "
            "Keras then adds along the width: leave the bias out, or use channels_last."
        )
    return shape


def _conv(rank: int, config: Config, inputs: Inputs) -> Shape:
    _refuse_strides_with_dilation(config, rank)
    sizes, _ = parted(config, inputs[0], rank)
    return _biased(config, windowed(config, sizes, "kernel_size"), config["filters"])


def _conv_weights(rank: int, config: Config, inputs: Inputs) -> dict[str, Shape]:
    _, channels = parted(config, inputs[0], rank)
    groups = config.get("groups") or 1
    if not channels or channels % groups or config["filters"] % groups:
        raise UserError(f"{channels} channels do not divide into {groups} groups.")
    window = per_axis(config["kernel_size"], rank)
    kernel = (*window, channels // groups, config["filters"])
    return with_bias(config, {"kernel": kernel}, config["filters"])


def _transposed(rank: int, config: Config, inputs: Inputs) -> Shape:
    _refuse_strides_with_dilation(config, rank)
    sizes, _ = parted(config, inputs[0], rank)
    settings = (config["kernel_size"], config.get("strides") or 1, config.get("dilation_rate") or 1)
    window, strides, dilation = (per_axis(each, rank) for each in settings)
    stated = config.get("output_padding")
    added = (None,) * rank if stated is None else per_axis(stated, rank)
    axes = zip(sizes, window, strides, dilation, added, strict=True)
    outputs = [transposed_output(config["padding"], *axis) for axis in axes]
    return _biased(config, outputs, config["filters"])


def _transposed_weights(rank: int, config: Config, inputs: Inputs) -> dict[str, Shape]:
    _, channels = parted(config, inputs[0], rank)
    kernel = (*per_axis(config["kernel_size"], rank), config["filters"], channels)
    return with_bias(config, {"kernel": kernel}, config["filters"])


def _depthwise(rank: int, config: Config, inputs: Inputs) -> Shape:
    _refuse_unequal_strides(config, rank)
    sizes, channels = parted(config, inputs[0], rank)
    outputs = windowed(config, sizes, "kernel_size")
    return _biased(config, outputs, channels * config["depth_multiplier"])


def _depthwise_weights(rank: int, config: Config, inputs: Inputs) -> dict[str, Shape]:
    _, channels = parted(config, inputs[0], rank)
    multiplier = config["depth_multiplier"]
    kernel = (*per_axis(config["kernel_size"], rank), channels, multiplier)
    return with_bias(config, {"kernel": kernel}, channels * multiplier)


def _separable(rank: int, config: Config, inputs: Inputs) -> Shape:
    _refuse_unequal_strides(config, rank)
    sizes, _ = parted(config, inputs[0], rank)
    return _biased(config, windowed(config, sizes, "kernel_size"), config["filters"])


def _separable_weights(rank: int, config: Config, inputs: Inputs) -> dict[str, Shape]:
    _, channels = parted(config, inputs[0], rank)
    multiplier, filters = config["depth_multiplier"], config["filters"]
    kernels = {
        "depthwise_kernel": (*per_axis(config["kernel_size"], rank), channels, multiplier),
        "pointwise_kernel": (*(1,) * rank, channels * multiplier, filters),
    }
    return with_bias(config, dict(kernels), filters)


def _area(shape: Shape) -> int:
    return prod(size or 1 for size in shape)


def _conv_cost(rank: int, config: Config, inputs: Inputs, output: Shape) -> int:
    channels = parted(config, inputs[0], rank)[1] // int(config.get("groups") or 1)
    before = _conv(rank, config, inputs)  # glu halves what comes out
    return _area(before) * prod(per_axis(config["kernel_size"], rank)) * channels


def _transposed_cost(rank: int, config: Config, inputs: Inputs, output: Shape) -> int:
    return _area(inputs[0]) * prod(per_axis(config["kernel_size"], rank)) * int(config["filters"])


def _depthwise_cost(rank: int, config: Config, inputs: Inputs, output: Shape) -> int:
    return _area(_depthwise(rank, config, inputs)) * prod(per_axis(config["kernel_size"], rank))


def _separable_cost(rank: int, config: Config, inputs: Inputs, output: Shape) -> int:
    middle = parted(config, inputs[0], rank)[1] * int(config["depth_multiplier"])
    filters = int(config["filters"])
    window = prod(per_axis(config["kernel_size"], rank))
    places = _area(_separable(rank, config, inputs)) // filters
    return places * middle * (window + filters)


_KERNEL = ("kernel_size", "strides", "dilation_rate", "use_bias")


def _rules(rank: int) -> dict[str, LayerRule]:
    padded = {**FORMATS, "padding": PADDINGS}
    causal = {"padding": (*PADDINGS, "causal")} if rank == 1 else {}
    single = {**padded, **ACTIVE, "groups": (1,)}  # Keras 2 writes it where it has no meaning
    by_channel = {
        f"DepthwiseConv{rank}D": LayerRule(
            partial(_depthwise, rank),
            partial(_depthwise_weights, rank),
            partial(_depthwise_cost, rank),
            single,
            {"depthwise_kernel": "kernel"},
            supported=(*_KERNEL, "depth_multiplier"),
        ),
        f"SeparableConv{rank}D": LayerRule(
            partial(_separable, rank),
            partial(_separable_weights, rank),
            partial(_separable_cost, rank),
            single,
            supported=("filters", *_KERNEL, "depth_multiplier"),
        ),
    }
    return {
        f"Conv{rank}D": LayerRule(
            partial(_conv, rank),
            partial(_conv_weights, rank),
            partial(_conv_cost, rank),
            {**padded, **ACTIVE, **causal},
            supported=("filters", *_KERNEL, "groups"),
        ),
        f"Conv{rank}DTranspose": LayerRule(
            partial(_transposed, rank),
            partial(_transposed_weights, rank),
            partial(_transposed_cost, rank),
            single,
            supported=("filters", *_KERNEL, "output_padding"),
        ),
        **(by_channel if rank < 3 else {}),  # Keras has none along three axes
    }


LAYERS: dict[str, LayerRule] = {**_rules(1), **_rules(2), **_rules(3)}
"""The rules of these layers by Keras class name."""
