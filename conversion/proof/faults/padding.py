"""Faults of padding: sides, values, and where a strided convolution begins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import ModelProto

from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault
from conversion.proof.faults.injection import in_onnx, in_spec

TORCH, ONNX, VIA = "torch-fp32", "onnx-fp32", "torch-via-onnx-fp32"
STRIDED = "conv2d_3 conv2d_6"
REFLECTED = ("conv2d", "conv2d_1", "conv2d_2", "conv2d_4", "conv2d_7")


def padded(layer: str, *pads: int) -> Callable[[ModelProto], None]:
    """Another padding: top, left, bottom, right."""
    return lambda model: graph.set_attribute(graph.node(model, "Conv", layer), "pads", pads)


def both_sides(layers: str) -> specs.Change:
    """Padding of 1 on every side, as PyTorch's ``padding=1``."""
    around = ("ZeroPadding2D", {"padding": ((1, 1), (1, 1))})
    padding = [specs.ahead(layer, *around) for layer in layers.split()]
    return specs.then(specs.settings(layers, padding="valid"), *padding)


def filled(model: ModelProto, layers: tuple[str, ...], mode: str) -> None:
    """Padding with what lies at the border instead of zeros."""
    for layer in layers:
        conv = graph.node(model, "Conv", layer)
        top, left, bottom, right = graph.attribute(conv, "pads")
        graph.set_attribute(conv, "pads", [0, 0, 0, 0])
        pads = graph.ints(0, 0, top, left, 0, 0, bottom, right)
        graph.ahead(model, conv, "Pad", pads, mode=mode)


def padded_afterwards(model: ModelProto) -> None:
    """conv2d_4 as `valid`, and zeros around its output."""
    conv = graph.node(model, "Conv", "conv2d_4")
    graph.set_attribute(conv, "pads", [0, 0, 0, 0])
    graph.behind(model, conv, "Pad", graph.ints(0, 0, 1, 1, 0, 0, 1, 1), mode="constant")


def odd_pixels(model: ModelProto) -> None:
    """The 1x1 convolution of stride 2 begins at the second row and column."""
    conv = graph.node(model, "Conv", "conv2d_5")
    top = np.iinfo(np.int64).max
    graph.ahead(model, conv, "Slice", graph.ints(1, 1), graph.ints(top, top), graph.ints(2, 3))


def odd_pixels_of_conv2d_8() -> specs.Change:
    """The 1x1 kernel at the far corner of a 2x2 window of stride 2: the odd pixels."""

    def cornered(kernel: np.ndarray) -> np.ndarray:
        return np.pad(kernel, [(1, 0), (1, 0), (0, 0), (0, 0)])

    window = specs.settings("conv2d_8", kernel_size=(2, 2), padding="valid")
    return specs.then(window, specs.weights("conv2d_8", "kernel", cornered))


FAULTS: tuple[Fault, ...] = (
    Fault(
        "torch-strided-padded-both-sides",
        "conversion",
        TORCH,
        "both strided 3x3 layers padded (1,1), not (0,1)",
        "layers",
        "conv2d_3",
        in_spec(both_sides(STRIDED)),
    ),
    Fault(
        "onnx-strided-padded-top-left",
        "conversion",
        ONNX,
        "one layer padded (1,0), not (0,1)",
        "layers",
        "conv2d_6",
        in_onnx(padded("conv2d_6", 1, 1, 0, 0)),
    ),
    Fault(
        "via-onnx-strided-padded-both-sides",
        "conversion",
        VIA,
        "one layer padded (1,1), not (0,1)",
        "layers",
        "conv2d_3",
        in_onnx(padded("conv2d_3", 1, 1, 1, 1), VIA),
    ),
    Fault(
        "onnx-padding-replicates",
        "conversion",
        ONNX,
        "the border repeated, not zeros, in one layer",
        "layers",
        "conv2d_1",
        in_onnx(lambda model: filled(model, ("conv2d_1",), "edge")),
    ),
    Fault(
        "onnx-padding-reflects",
        "conversion",
        ONNX,
        "the border mirrored, not zeros, in the five 3x3 layers of stride 1",
        "layers",
        "conv2d",
        in_onnx(lambda model: filled(model, REFLECTED, "reflect")),
    ),
    Fault(
        "onnx-valid-then-padded",
        "conversion",
        ONNX,
        "one layer `valid`, zeros put around its output",
        "layers",
        "conv2d_4",
        in_onnx(padded_afterwards),
    ),
    Fault(
        "torch-shortcut-samples-odd-pixels",
        "conversion",
        TORCH,
        "one 1x1 shortcut of stride 2 one pixel further",
        "layers",
        "conv2d_8",
        in_spec(odd_pixels_of_conv2d_8()),
    ),
    Fault(
        "onnx-shortcut-samples-odd-pixels",
        "conversion",
        ONNX,
        "one 1x1 shortcut of stride 2 one pixel further",
        "layers",
        "conv2d_5",
        in_onnx(odd_pixels),
    ),
)
