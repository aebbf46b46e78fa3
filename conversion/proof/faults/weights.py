"""Faults of stored weights: their format, one channel, one weight."""

from __future__ import annotations

import numpy as np

from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.graph_edits import in_weights_of_onnx
from conversion.proof.faults.injection import in_spec

TORCH, ONNX = "torch-fp32", "onnx-fp32"


def of_bits(array: np.ndarray, bits: int) -> np.ndarray:
    """Values rounded to so many bits of mantissa: 7 is bfloat16, 10 is float16."""
    mantissa, exponent = np.frexp(array.astype(np.float64))
    steps = 2.0 ** (bits + 1)
    return np.ldexp(np.rint(mantissa * steps) / steps, exponent)


def coarser(size: float) -> Inject:
    """Every weight rounded to a relative error of at most the size."""
    bits = round(-np.log2(size)) - 1
    return in_spec(specs.every_weight(lambda array: of_bits(array, bits)))


def float16(array: np.ndarray) -> np.ndarray:
    """Values that went through float16."""
    return array.astype(np.float16)


def three_decimals(array: np.ndarray) -> np.ndarray:
    """Values as a text with three decimals has them."""
    return array.round(3)


def without_channel(layer: str, channel: int) -> specs.Change:
    """A convolution of which one output channel is 0."""

    def silenced(array: np.ndarray) -> np.ndarray:
        found = array.copy()
        found[..., channel] = 0
        return found

    both = (specs.weights(layer, role, silenced) for role in ("kernel", "bias"))
    return specs.then(*both)


def one_weight(factor: float) -> specs.Change:
    """One weight of conv2d_4, in the middle of its kernel, times a factor."""

    def changed(kernel: np.ndarray) -> np.ndarray:
        found = kernel.copy()
        found[1, 1, 2, 3] *= factor
        return found

    return specs.weights("conv2d_4", "kernel", changed)


def lowest_exponent_bit(kernel: np.ndarray) -> np.ndarray:
    """One weight with the lowest bit of its exponent flipped: twice or half of it."""
    found = kernel.copy()
    found.view(np.uint32)[1, 1, 2, 3] ^= np.uint32(1 << 23)
    return found


def weight_of_torch(size: float) -> Inject:
    """One weight of the PyTorch file off by a part of it."""
    return in_spec(one_weight(1 + size))


def weight_of_onnx(size: float) -> Inject:
    """One weight of the ONNX file off by a part of it."""
    return in_weights_of_onnx(one_weight(1 + size))


FAULTS: tuple[Fault, ...] = (
    Fault(
        "torch-float16-weights",
        "conversion",
        TORCH,
        "every weight through float16",
        "layers",
        "conv2d",
        in_spec(specs.every_weight(float16)),
    ),
    Fault(
        "onnx-float16-weights-in-one",
        "conversion",
        ONNX,
        "one kernel through float16",
        "layers",
        "conv2d_7",
        in_weights_of_onnx(specs.weights("conv2d_7", "kernel", float16)),
    ),
    Fault(
        "torch-bfloat16-weights",
        "conversion",
        TORCH,
        "every weight through bfloat16: a relative error of up to 2^-8",
        "layers",
        "conv2d",
        coarser(2.0**-8),
        sizes=tuple(2.0**-bits for bits in (8, 11, 14, 17, 20, 23)),
        resized=coarser,
    ),
    Fault(
        "torch-bfloat16-weights-in-one",
        "conversion",
        TORCH,
        "the dense kernel through bfloat16",
        "weights",
        "dense",
        in_spec(specs.weights("dense", "kernel", lambda array: of_bits(array, 7))),
    ),
    Fault(
        "onnx-three-decimals",
        "conversion",
        ONNX,
        "every kernel rounded to three decimals",
        "layers",
        "conv2d",
        in_weights_of_onnx(specs.every_weight(three_decimals, ("kernel",))),
    ),
    Fault(
        "onnx-channel-of-64-silent",
        "conversion",
        ONNX,
        "one of 64 output channels 0",
        "layers",
        "conv2d_7",
        in_weights_of_onnx(without_channel("conv2d_7", 5)),
    ),
    Fault(
        "torch-channel-of-16-silent",
        "conversion",
        TORCH,
        "one of 16 output channels 0",
        "layers",
        "conv2d_1",
        in_spec(without_channel("conv2d_1", 3)),
    ),
    Fault(
        "torch-one-weight",
        "conversion",
        TORCH,
        "one weight of 78,666 off by 1 %",
        "weights",
        "conv2d_4",
        weight_of_torch(1e-2),
        sizes=(1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 2.0**-23),
        resized=weight_of_torch,
    ),
    Fault(
        "onnx-one-weight",
        "conversion",
        ONNX,
        "one weight of 78,666 off by 1 %",
        "layers",
        "conv2d_4",
        weight_of_onnx(1e-2),
        sizes=(1e-1, 1e-2, 1e-3, 1e-4, 1e-5),
        resized=weight_of_onnx,
    ),
    Fault(
        "onnx-weight-sign",
        "conversion",
        ONNX,
        "the sign of one weight",
        "output-error",
        "conv2d_4",
        in_weights_of_onnx(one_weight(-1)),
    ),
    Fault(
        "torch-weight-exponent",
        "conversion",
        TORCH,
        "the lowest bit of one weight's exponent",
        "layers",
        "conv2d_4",
        in_spec(specs.weights("conv2d_4", "kernel", lowest_exponent_bit)),
    ),
)
