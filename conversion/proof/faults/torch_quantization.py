"""Faults in the scales, zero points, integer kernels and biases of the int8 PyTorch file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from conversion.backends import torch_file
from conversion.core.artifact import Store
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.graph_edits import CONVS
from conversion.proof.faults.injection import (
    RELATIVE,
    State,
    exchanged,
    in_state,
)
from conversion.proof.faults.integer_state import (
    DENSE,
    INT8,
    first_times,
    in_biases,
    in_entry,
    in_integers,
    in_scales,
    of_one_scale,
    packed,
    smallest_byte,
    times,
)
from conversion.workspace import Workspace

SUM = "body.add.functional"


def scale_off(share: float) -> Inject:
    """The scale of one activation is off by a share of itself."""
    return in_entry("conv2d_3.scale", times(1 + share))


def channel_scale_off(share: float) -> Inject:
    """The scale of one channel of one kernel is off by a share of itself."""
    return in_scales("conv2d_6", first_times(1 + share))


def zero_point_off(steps: float) -> Inject:
    """The zero point of one activation is off."""
    return in_entry("conv2d_4.zero_point", lambda zero_point: zero_point + int(steps))


def every_zero_point_off(state: State) -> None:
    """The zero points of all activations are off by one."""
    for name in [each for each in state if each.endswith("zero_point")]:
        state[name] = state[name] + 1


def one_ulp(scale: Tensor) -> Tensor:
    """The next float32."""
    return torch.nextafter(scale, torch.tensor(torch.inf))


def swapped(state: State) -> None:
    """Scale and zero point of the two summands of `add_2` are exchanged."""
    for part in ("scale", "zero_point"):
        first, second = (f"body.{layer}.{part}" for layer in ("conv2d_7", "conv2d_8"))
        state[first], state[second] = state[second], state[first]


def twins_swapped(state: State) -> None:
    """The kernels of two layers of one shape are exchanged, with their scales."""
    first, second = "body.conv2d_1.weight", "body.conv2d_2.weight"
    state[first], state[second] = state[second], state[first]


def dense_scales_permuted(state: State) -> None:
    """The scales of the dense kernel are moved by one class."""
    kernel, bias = state[DENSE]
    state[DENSE] = (packed(kernel.int_repr(), kernel.q_per_channel_scales().roll(1)), bias)


def six_bits(integers: Tensor) -> Tensor:
    """Integers in steps of four."""
    return (4 * torch.round(integers / 4)).clamp(-124, 124)


def truncated(workspace: Workspace, folder: Path) -> Workspace:
    """The integers of one kernel are truncated where they should be rounded."""
    kernel = workspace.spec.layer("conv2d_8").weights["kernel"].transpose(3, 2, 0, 1)

    def fault(good: Tensor) -> Tensor:
        scales = good.q_per_channel_scales()
        steps = torch.from_numpy(kernel.astype(np.float64)) / scales.reshape(-1, 1, 1, 1)
        return packed(steps.trunc().clamp(-128, 127), scales)

    return in_entry("conv2d_8.weight", fault)(workspace, folder)


def per_tensor(state: State) -> None:
    """Kernels have one scale each, in a file that says one for each channel."""
    for name in [each for each in state if each.endswith(".weight")]:
        state[name] = of_one_scale(state[name])
    kernel, bias = state[DENSE]
    state[DENSE] = (of_one_scale(kernel), bias)


def ranges_too(workspace: Workspace, folder: Path) -> Workspace:
    """The scale of one activation is halved, in the state and in the ranges that the file keeps."""
    content = torch_file.load(workspace.artifact(INT8).path, INT8)
    content["state_dict"][f"{SUM}.scale"] *= 0.5
    content["ranges"][f"{SUM}.activation_post_process"]["scale"] *= 0.5
    plain = {part: content[part] for part in ("spec", "scheme", "ranges", "state_dict")}
    path = folder / f"{INT8}.pt"
    torch_file.save(path, INT8, plain, content["provenance"])
    return workspace.injected(Store(folder / "store"), {INT8: exchanged(workspace, INT8, path)})


def _fault(
    name: str,
    magnitude: str,
    where: str,
    inject: Inject,
    sizes: tuple[float, ...] = (),
    resized: Callable[[float], Inject] | None = None,
) -> Fault:
    return Fault(
        f"torch-{name}",
        "quantization",
        INT8,
        magnitude,
        "quantized-parameters",
        where,
        inject,
        sizes=sizes,
        resized=resized,
    )


FAULTS: tuple[Fault, ...] = (
    _fault(
        "zero-point-off-by-one",
        "1 step of one activation",
        "batch_normalization_4",
        zero_point_off(1),
        sizes=(8, 4, 2, 1),
        resized=zero_point_off,
    ),
    _fault(
        "every-zero-point-off-by-one",
        "1 step of every activation",
        "input_1",
        in_state(every_zero_point_off, INT8),
    ),
    _fault(
        "scale-one-ulp",
        "1 unit in the last place of one activation's scale",
        "activation_5",
        in_entry("conv2d_6.scale", one_ulp),
    ),
    _fault(
        "scale-two-percent",
        "2 % of one activation's scale",
        "activation_3",
        scale_off(0.02),
        sizes=RELATIVE,
        resized=scale_off,
    ),
    _fault(
        "scale-halved",
        "x0.5 of one activation's scale",
        "activation_4",
        in_entry("add_1.functional.scale", times(0.5)),
    ),
    _fault(
        "scale-halved-in-ranges-too",
        "x0.5 of one activation's scale, and of the range that the file keeps",
        "activation_2",
        ranges_too,
    ),
    _fault(
        "scales-of-two-tensors-swapped",
        "scale and zero point of both summands of one sum",
        "conv2d_8",
        in_state(swapped, INT8),
    ),
    _fault(
        "kernel-scales-permuted",
        "the scales of one convolution moved by one channel",
        "activation_3",
        in_scales("conv2d_3", lambda scales: scales.roll(1)),
    ),
    _fault(
        "dense-scales-permuted",
        "the scales of the dense layer moved by one class",
        "dense",
        in_state(dense_scales_permuted, INT8),
    ),
    _fault(
        "channel-scale-tenfold",
        "x10 of one channel's scale",
        "activation_5",
        channel_scale_off(9.0),
        sizes=(9.0, *RELATIVE),
        resized=channel_scale_off,
    ),
    _fault(
        "kernel-six-bits",
        "one kernel in steps of 4 of 255",
        "batch_normalization_6",
        in_integers("conv2d_7", six_bits),
    ),
    _fault(
        "kernel-clipped",
        "one kernel clipped to 75 % of its range",
        "activation_1",
        in_integers("conv2d_1", lambda integers: integers.clamp(-95, 95)),
    ),
    _fault(
        "kernel-truncated",
        "one kernel truncated, not rounded",
        "conv2d_8",
        truncated,
    ),
    _fault(
        "kernel-bit-flipped",
        "bit 7 of one byte of one kernel",
        "batch_normalization_2",
        in_integers("conv2d_2", smallest_byte(lambda value: value ^ 0x80)),
    ),
    _fault(
        "kernel-byte-off-by-one",
        "1 step of one byte of one kernel",
        "conv2d_5",
        in_integers("conv2d_5", smallest_byte(lambda value: value + 1)),
    ),
    _fault(
        "biases-lost",
        "all biases 0",
        "activation",
        in_biases((*CONVS, "dense"), torch.zeros_like),
    ),
    _fault(
        "dense-bias-halved",
        "one bias x0.5",
        "dense",
        in_biases(("dense",), times(0.5)),
    ),
    _fault(
        "last-bias-lost",
        "the bias of the last convolution 0",
        "batch_normalization_6",
        in_biases(("conv2d_7",), torch.zeros_like),
    ),
    _fault(
        "twin-kernels-swapped",
        "kernels of two layers of one shape",
        "activation_1",
        in_state(twins_swapped, INT8),
    ),
    _fault(
        "per-tensor-as-per-channel",
        "one scale for each kernel, written once for each channel",
        "activation",
        in_state(per_tensor, INT8),
    ),
)
