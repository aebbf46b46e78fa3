"""Faults in the integer kernels, their scales, and the biases of the int8 ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.graph_edits import set_attribute
from conversion.proof.faults.injection import RELATIVE, in_onnx
from conversion.proof.faults.integer_graph import (
    INT8,
    KERNELS,
    change,
    in_parameter,
    in_parameters,
    in_qdq,
    moved,
    operator,
    writer,
)
from conversion.proof.faults.onnx_quantization import onnx_fault
from conversion.workspace import Workspace

CONVOLUTIONS = tuple(KERNELS)
LAYERS = (*CONVOLUTIONS, "dense")


def channel_scale_off(share: float) -> Inject:
    """The scale of one channel of one kernel is off by a share of itself."""
    return in_parameter("conv2d_6", "kernel_scale", first_times(1 + share))


def first_times(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    """The first element times a factor."""

    def edit(array: np.ndarray) -> np.ndarray:
        array.flat[0] *= factor
        return array

    return edit


def smallest_byte(step: Callable[[int], int]) -> Callable[[np.ndarray], np.ndarray]:
    """Another value in the byte of smallest size."""

    def edit(array: np.ndarray) -> np.ndarray:
        place = int(np.abs(array.astype(np.int64)).argmin())
        array.flat[place] = np.uint8(step(int(array.flat[place])) & 0xFF).view(np.int8)
        return array

    return edit


def axis_wrong(model: ModelProto) -> None:
    """The scales of a square kernel are laid along its input channels."""
    made = writer(model, operator(model, "conv2d_7").input[1])
    set_attribute(made, "axis", 1)


def truncated(workspace: Workspace, folder: Path) -> Workspace:
    """All kernels are truncated where they should be rounded."""
    floats = onnx.load(workspace.artifact("onnx-prepared").path)
    kernels = {tensor.name: tensor for tensor in floats.graph.initializer}

    def fault(model: ModelProto) -> None:
        stored = {tensor.name: tensor for tensor in model.graph.initializer}
        for layer in CONVOLUTIONS:
            kernel = numpy_helper.to_array(kernels[operator(floats, layer).input[1]])
            scale = numpy_helper.to_array(stored[operator(model, layer).input[4]])
            steps = np.trunc(kernel / scale[:, None, None, None])
            change(model, layer, "kernel", lambda _, steps=steps: steps)  # type: ignore[misc]

    return in_onnx(fault, INT8)(workspace, folder)


def not_rescaled(model: ModelProto) -> None:
    """A bias is stored in steps of the first channel's scale, in all channels."""
    name = operator(model, "conv2d_4").input[4]
    scale = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == name)
    change(model, "conv2d_4", "bias", lambda bias: np.rint(bias * (scale / scale[0])))


def twins_swapped(model: ModelProto) -> None:
    """The integer kernels of two layers of one shape are exchanged; their scales stay."""
    first, second = (operator(model, layer) for layer in ("conv2d_1", "conv2d_2"))
    first.input[3], second.input[3] = second.input[3], first.input[3]


def in_steps(step: int) -> Callable[[np.ndarray], np.ndarray]:
    """Integers that are multiples of a step: 4 leaves six bits, 16 leaves four."""

    def edit(kernel: np.ndarray) -> np.ndarray:
        coarse: np.ndarray = np.clip(step * np.rint(kernel / step), step - 128, 128 - step)
        return coarse

    return edit


FAULTS: tuple[Fault, ...] = (
    onnx_fault(
        "kernel-scales-permuted",
        "the scales of one convolution moved by one channel",
        "batch_normalization_4",
        in_parameter("conv2d_4", "kernel_scale", lambda scale: np.roll(scale, 1)),
    ),
    onnx_fault(
        "channel-scale-tenfold",
        "x10 of one channel's scale",
        "activation_5",
        channel_scale_off(9.0),
        sizes=(9.0, *RELATIVE),
        resized=channel_scale_off,
    ),
    onnx_fault(
        "channel-scale-zero",
        "0 as one channel's scale",
        "conv2d_8",
        in_parameter("conv2d_8", "kernel_scale", first_times(0.0)),
    ),
    onnx_fault(
        "channel-scale-infinite",
        "Inf as one channel's scale",
        "conv2d_5",
        in_parameter("conv2d_5", "kernel_scale", first_times(np.inf)),
    ),
    onnx_fault(
        "qdq-channel-axis-wrong",
        "axis 1 for 0 of the 64x64 kernel; as deployed nothing changes",
        "batch_normalization_6",
        in_qdq(axis_wrong),
        check="optimisation-levels",
    ),
    onnx_fault(
        "kernels-six-bits",
        "kernels in steps of 4 of 255",
        "activation",
        in_parameters(CONVOLUTIONS, "kernel", in_steps(4)),
    ),
    onnx_fault(
        "kernel-four-bits",
        "one kernel in steps of 16 of 255",
        "batch_normalization_4",
        in_parameter("conv2d_4", "kernel", in_steps(16)),
        check="quantized-layers",
    ),
    onnx_fault(
        "kernel-clipped",
        "one kernel clipped to 75 % of its range",
        "activation_3",
        in_parameter("conv2d_3", "kernel", lambda kernel: np.clip(kernel, -48, 48)),
    ),
    onnx_fault(
        "kernels-truncated",
        "kernels truncated, not rounded",
        "activation",
        truncated,
    ),
    onnx_fault(
        "kernel-bit-flipped",
        "bit 7 of one byte of one kernel",
        "batch_normalization_6",
        in_parameter("conv2d_7", "kernel", smallest_byte(lambda value: value ^ 0x80)),
    ),
    onnx_fault(
        "kernel-byte-off-by-one",
        "1 step of one byte of one kernel",
        "conv2d_8",
        in_parameter("conv2d_8", "kernel", smallest_byte(lambda value: value + 1)),
    ),
    onnx_fault(
        "kernel-zero-point",
        "1 step as the zero point of one kernel",
        "activation_1",
        in_parameter("conv2d_1", "kernel_zero_point", moved(1)),
    ),
    onnx_fault(
        "biases-lost",
        "all biases 0",
        "activation",
        in_parameters(LAYERS, "bias", np.zeros_like),
    ),
    onnx_fault(
        "biases-halved",
        "all biases x0.5",
        "the whole interval lies below the margin",
        in_parameters(LAYERS, "bias", lambda bias: bias // 2),
        check="quantized-top1",
    ),
    onnx_fault(
        "bias-not-rescaled",
        "one bias in steps of the first channel's scale",
        "batch_normalization_4",
        in_onnx(not_rescaled, INT8),
    ),
    onnx_fault(
        "last-bias-lost",
        "the bias of the last convolution 0",
        "batch_normalization_6",
        in_parameter("conv2d_7", "bias", np.zeros_like),
    ),
    onnx_fault(
        "twin-kernels-swapped",
        "integer kernels of two layers of one shape",
        "activation_1",
        in_onnx(twins_swapped, INT8),
    ),
)
