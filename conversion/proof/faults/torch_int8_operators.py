"""Faults in the state of an int8 PyTorch file: kernels, scales, zero points and biases."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conversion.backends.torch_module import attribute_name
from conversion.core.spec import Spec
from conversion.proof.faults.fault import NotInjectable

State = dict[str, Any]
OfState = Callable[[State, Spec, Sequence[str], Any], None]
"""Changes a state by names of layers and a size or other value."""

OfTensor = Callable[[Tensor, Any], Tensor]


def read(state: State, layer: str) -> tuple[Tensor, Tensor]:
    """A layer's integer kernel with its scales, and its bias.

    Raises:
        NotInjectable: it has none.
    """
    name = f"body.{attribute_name(layer)}"
    pair = state.get(f"{name}._packed_params._packed_params")
    if pair is None and f"{name}.weight" in state:
        pair = state[f"{name}.weight"], state.get(f"{name}.bias")
    if pair is None or pair[1] is None or not pair[0].is_quantized:
        raise NotInjectable(f"{layer} has no integer kernel with a bias")
    return pair[0], pair[1]


def write(state: State, layer: str, kernel: Tensor, bias: Tensor) -> None:
    """Put another kernel and bias in the place of those that `read` gives."""
    name = f"body.{attribute_name(layer)}"
    if f"{name}.weight" in state:
        state[f"{name}.weight"], state[f"{name}.bias"] = kernel, bias
    else:
        state[f"{name}._packed_params._packed_params"] = (kernel, bias)


def of_entry(entry: str, edit: OfTensor) -> OfState:
    """A fault in the scale or zero point of what a layer gives."""

    def change(state: State, _: Spec, layers: Sequence[str], value: Any) -> None:
        for layer in layers:
            name = place(state, layer, entry)
            state[name] = edit(state[name], value)

    return change


def place(state: State, layer: str, entry: str) -> str:
    """The name of a layer's scale or zero point in the state.

    Raises:
        NotInjectable: it has none.
    """
    name = f"body.{attribute_name(layer)}"
    names = (f"{name}.{entry}", f"{name}.functional.{entry}")
    found = next((each for each in names if each in state), None)
    if found is None:
        raise NotInjectable(f"{layer} has no {entry}")
    return found


def of_kernel(edit: OfTensor) -> OfState:
    """A fault in kernels, which are given with their scales."""

    def change(state: State, _: Spec, layers: Sequence[str], value: Any) -> None:
        for layer in layers:
            kernel, bias = read(state, layer)
            write(state, layer, edit(kernel, value), bias)

    return change


def of_integers(edit: OfTensor) -> OfState:
    """A fault in the integers of kernels; their scales stay."""
    return of_kernel(
        lambda kernel, value: packed(
            edit(kernel.int_repr().to(torch.int64), value), kernel.q_per_channel_scales()
        )
    )


def of_scales(edit: OfTensor) -> OfState:
    """A fault in the scales of kernels; their integers stay."""
    return of_kernel(
        lambda kernel, value: packed(
            kernel.int_repr(), edit(kernel.q_per_channel_scales().clone(), value)
        )
    )


def of_bias(state: State, _: Spec, layers: Sequence[str], factor: float) -> None:
    """Biases times a factor."""
    for layer in layers:
        kernel, bias = read(state, layer)
        write(state, layer, kernel, bias.detach().clone() * factor)


def packed(integers: Tensor, scales: Tensor) -> Tensor:
    """A kernel with one scale for each output channel, from its integers and scales."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors are deprecated; torch.ao makes them
        zero_points = torch.zeros(len(scales), dtype=torch.int64)
        return torch._make_per_channel_quantized_tensor(
            integers.to(torch.int8), scales, zero_points, 0
        )


def of_one_scale(kernel: Tensor, _: Any) -> Tensor:
    """A kernel quantized by one scale, which is written down for each output channel."""
    real = kernel.dequantize().double()
    scale = real.abs().max() / 127
    return packed(torch.round(real / scale), scale.expand(len(real)).clone())


def every_zero_point_off(state: State, _: Spec, __: Sequence[str], steps: int) -> None:
    """The zero points of all activations are off."""
    for name in [each for each in state if each.endswith("zero_point")]:
        state[name] = state[name] + steps


def swapped(state: State, _: Spec, layers: Sequence[str], __: Any) -> None:
    """Scale and zero point of what two layers give are exchanged."""
    for entry in ("scale", "zero_point"):
        first, second = (place(state, layer, entry) for layer in layers)
        state[first], state[second] = state[second], state[first]


def twins_swapped(state: State, _: Spec, layers: Sequence[str], __: Any) -> None:
    """The kernels of two layers of one shape are exchanged, with their scales."""
    (one, bias), (two, other) = (read(state, layer) for layer in layers)
    write(state, layers[0], two, bias)
    write(state, layers[1], one, other)


def truncated(state: State, spec: Spec, layers: Sequence[str], _: Any) -> None:
    """The integers of a kernel without BatchNormalization are truncated, not rounded."""
    for layer in layers:
        good, bias = read(state, layer)
        kernel = spec.layer(layer).weights["kernel"].transpose(3, 2, 0, 1).astype(np.float64)
        steps = torch.from_numpy(kernel) / good.q_per_channel_scales().reshape(-1, 1, 1, 1)
        write(
            state, layer, packed(steps.trunc().clamp(-128, 127), good.q_per_channel_scales()), bias
        )


def first_times(tensor: Tensor, factor: float) -> Tensor:
    """The first element times a factor."""
    tensor[0] *= factor
    return tensor


def of_smallest(step: Callable[[int], int]) -> OfTensor:
    """Another value in the byte of smallest size."""

    def edit(integers: Tensor, _: Any) -> Tensor:
        flat = integers.flatten()
        found = int(flat.abs().argmin())
        flat[found] = int(np.uint8(step(int(flat[found])) & 0xFF).view(np.int8))
        return flat.reshape(integers.shape)

    return edit


def in_steps(integers: Tensor, step: int) -> Tensor:
    """Integers that are multiples of a step: 4 leaves six bits."""
    return (step * torch.round(integers / step)).clamp(step - 128, 128 - step)


OPERATORS: Mapping[str, OfState] = {
    "scale-times": of_entry("scale", lambda scale, factor: scale * factor),
    "scale-off": of_entry("scale", lambda scale, share: scale * (1 + share)),
    "scale-ulp": of_entry(
        "scale", lambda scale, _: torch.nextafter(scale, torch.tensor(torch.inf))
    ),
    "zero-point-off": of_entry("zero_point", lambda point, steps: point + int(steps)),
    "zero-points-off": every_zero_point_off,
    "scales-swapped": swapped,
    "kernel-scales-rolled": of_scales(lambda scales, _: scales.roll(1)),
    "channel-scale-off": of_scales(lambda scales, share: first_times(scales, 1 + share)),
    "kernel-in-steps": of_integers(in_steps),
    "kernel-clipped": of_integers(lambda kernel, end: kernel.clamp(-end, end)),
    "kernel-truncated": truncated,
    "kernel-bit": of_integers(of_smallest(lambda value: value ^ 0x80)),
    "kernel-byte": of_integers(of_smallest(lambda value: value + 1)),
    "kernels-swapped": twins_swapped,
    "kernel-of-one-scale": of_kernel(of_one_scale),
    "bias-times": of_bias,
}
"""Name to a fault of a state."""
