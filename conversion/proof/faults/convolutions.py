"""Faults of convolutions: biases, and how a kernel is laid out."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import in_onnx, in_spec

TORCH, ONNX, VIA = "torch-fp32", "onnx-fp32", "torch-via-onnx-fp32"
ALL = " ".join(graph.CONVS)


def bias_lost(model: ModelProto, *layers: str) -> None:
    """Convolutions without their third input."""
    for layer in layers:
        del graph.node(model, "Conv", layer).input[2]


def folded_without_bias(model: ModelProto) -> None:
    """BatchNormalization folded into the convolutions, whose own bias is forgotten."""
    pairs = [graph.scale_and_shift(model, name) for name in graph.NORMS]
    for scale, shift in pairs:
        conv = next(each for each in model.graph.node if each.output[0] == scale.input[0])
        factor, summand = (graph.stored(model, each.input[1]).ravel() for each in (scale, shift))
        kernel = graph.stored(model, conv.input[1])
        graph.store(model, conv.input[1], kernel * factor[:, None, None, None])
        graph.store(model, conv.input[2], summand)
        graph.drop(model, scale)
        graph.drop(model, shift)


def weaker_bias(size: float) -> Inject:
    """conv2d's bias less a part of it."""
    return graph.in_weights_of_onnx(specs.weights("conv2d", "bias", lambda bias: bias * (1 - size)))


def axes_exchanged(kernel: np.ndarray) -> np.ndarray:
    """Height and width for each other."""
    return kernel.swapaxes(0, 1)


def ends_exchanged(kernel: np.ndarray) -> np.ndarray:
    """Input and output channels for each other."""
    return kernel.swapaxes(2, 3)


def turned(kernel: np.ndarray) -> np.ndarray:
    """Rotated by 180 degrees, as a true convolution would."""
    return kernel[::-1, ::-1]


def reshaped(kernel: np.ndarray) -> np.ndarray:
    """The buffer of (H, W, I, O) read as if it were (O, I, H, W)."""
    height, width, inputs, outputs = kernel.shape
    return kernel.reshape(outputs, inputs, height, width).transpose(2, 3, 1, 0)


def rolled(kernel: np.ndarray) -> np.ndarray:
    """Moved one pixel to the right, around the edge."""
    return np.roll(kernel, 1, axis=1)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "torch-bias-missing",
        "conversion",
        TORCH,
        "one bias lost: conv2d_6 without",
        "weights",
        "conv2d_6",
        in_spec(specs.without_bias("conv2d_6")),
    ),
    Fault(
        "onnx-conv2d-bias-lost",
        "conversion",
        ONNX,
        "one bias lost: conv2d without",
        "layers",
        "conv2d",
        in_onnx(lambda model: bias_lost(model, "conv2d")),
        sizes=(1.0, 1e-1, 1e-2, 1e-3, 1e-4),
        resized=weaker_bias,
    ),
    Fault(
        "onnx-biases-lost-in-folding",
        "conversion",
        ONNX,
        "all seven biases in front of a BatchNormalization lost",
        "layers",
        "batch_normalization",
        in_onnx(folded_without_bias),
    ),
    Fault(
        "onnx-shortcut-biases-lost",
        "conversion",
        ONNX,
        "both biases of the 1x1 shortcuts lost",
        "layers",
        "conv2d_5",
        in_onnx(lambda model: bias_lost(model, "conv2d_5", "conv2d_8")),
    ),
    Fault(
        "torch-kernels-height-width-swapped",
        "conversion",
        TORCH,
        "all kernels read as (W, H, I, O)",
        "layers",
        "conv2d",
        in_spec(specs.weights(ALL, "kernel", axes_exchanged)),
    ),
    Fault(
        "onnx-kernel-height-width-swapped",
        "conversion",
        ONNX,
        "one kernel read as (W, H, I, O)",
        "layers",
        "conv2d_4",
        graph.in_weights_of_onnx(specs.weights("conv2d_4", "kernel", axes_exchanged)),
    ),
    Fault(
        "torch-square-kernel-ends-swapped",
        "conversion",
        TORCH,
        "one kernel of 64 to 64 channels read as (H, W, O, I)",
        "layers",
        "conv2d_7",
        in_spec(specs.weights("conv2d_7", "kernel", ends_exchanged)),
    ),
    Fault(
        "onnx-kernel-reshaped",
        "conversion",
        ONNX,
        "one kernel's buffer reshaped to (O, I, H, W), not transposed",
        "layers",
        "conv2d_6",
        graph.in_weights_of_onnx(specs.weights("conv2d_6", "kernel", reshaped)),
    ),
    Fault(
        "torch-kernels-rotated",
        "conversion",
        TORCH,
        "all kernels rotated by 180 degrees",
        "layers",
        "conv2d",
        in_spec(specs.weights(ALL, "kernel", turned)),
    ),
    Fault(
        "onnx-kernel-rotated",
        "conversion",
        ONNX,
        "one kernel rotated by 180 degrees",
        "layers",
        "conv2d_2",
        graph.in_weights_of_onnx(specs.weights("conv2d_2", "kernel", turned)),
    ),
    Fault(
        "onnx-kernel-rolled",
        "conversion",
        ONNX,
        "one kernel moved by one pixel",
        "layers",
        "conv2d_3",
        graph.in_weights_of_onnx(specs.weights("conv2d_3", "kernel", rolled)),
    ),
    Fault(
        "torch-twins-swapped",
        "conversion",
        TORCH,
        "weights of conv2d_1 and conv2d_2 for each other",
        "weights",
        "conv2d_1",
        in_spec(specs.twins_exchanged("conv2d_1", "conv2d_2")),
    ),
    Fault(
        "onnx-twins-swapped",
        "conversion",
        ONNX,
        "weights of conv2d_1 and conv2d_2 for each other",
        "layers",
        "conv2d_1",
        graph.in_weights_of_onnx(specs.twins_exchanged("conv2d_1", "conv2d_2")),
    ),
)
