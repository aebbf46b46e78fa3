"""Small edits of the state of an int8 PyTorch file: kernels, scales, zero points and biases."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from conversion.proof.faults.fault import Inject
from conversion.proof.faults.injection import State, in_state

INT8 = "torch-int8"
DENSE = "body.dense._packed_params._packed_params"
"""The dense layer's entry: a pair of kernel and bias."""

Edit = Callable[[Tensor], Tensor]
"""Takes a tensor, which it may change, and returns one of the same shape."""


def in_entry(name: str, edit: Edit) -> Inject:
    """A fault in one entry of the state."""

    def fault(state: State) -> None:
        state[f"body.{name}"] = edit(state[f"body.{name}"])

    return in_state(fault, INT8)


def in_integers(layer: str, edit: Edit) -> Inject:
    """A fault in the integers of one kernel; its scales stay."""

    def fault(kernel: Tensor) -> Tensor:
        return packed(edit(kernel.int_repr().to(torch.int64)), kernel.q_per_channel_scales())

    return in_entry(f"{layer}.weight", fault)


def in_scales(layer: str, edit: Edit) -> Inject:
    """A fault in the scales of one kernel; its integers stay."""

    def fault(kernel: Tensor) -> Tensor:
        return packed(kernel.int_repr(), edit(kernel.q_per_channel_scales().clone()))

    return in_entry(f"{layer}.weight", fault)


def in_biases(layers: tuple[str, ...], edit: Edit) -> Inject:
    """A fault in the biases of some layers."""

    def fault(state: State) -> None:
        for layer in layers:
            if layer == "dense":
                kernel, bias = state[DENSE]
                state[DENSE] = (kernel, edit(bias.detach().clone()))
            else:
                name = f"body.{layer}.bias"
                state[name] = edit(state[name].detach().clone())

    return in_state(fault, INT8)


def packed(integers: Tensor, scales: Tensor) -> Tensor:
    """A kernel with one scale for each output channel, from its integers and scales."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors are deprecated; torch.ao makes them
        zero_points = torch.zeros(len(scales), dtype=torch.int64)
        return torch._make_per_channel_quantized_tensor(
            integers.to(torch.int8), scales, zero_points, 0
        )


def of_one_scale(kernel: Tensor) -> Tensor:
    """A kernel quantized by one scale, which is written down for each output channel."""
    real = kernel.dequantize().double()
    scale = real.abs().max() / 127
    return packed(torch.round(real / scale), scale.expand(len(real)).clone())


def times(factor: float) -> Edit:
    """Every element times a factor."""
    return lambda tensor: tensor * factor


def first_times(factor: float) -> Edit:
    """The first element times a factor."""

    def edit(tensor: Tensor) -> Tensor:
        tensor[0] *= factor
        return tensor

    return edit


def smallest_byte(step: Callable[[int], int]) -> Edit:
    """Another value in the byte of smallest size."""

    def edit(integers: Tensor) -> Tensor:
        flat = integers.flatten()
        place = int(flat.abs().argmin())
        flat[place] = int(np.uint8(step(int(flat[place])) & 0xFF).view(np.int8))
        return flat.reshape(integers.shape)

    return edit
