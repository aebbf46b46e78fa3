"""Faults of the way in: colours, scale, orientation and memory layout of the images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto

from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import in_onnx, in_spec

TORCH, ONNX, VIA = "torch-fp32", "onnx-fp32", "torch-via-onnx-fp32"
END = np.iinfo(np.int64).max
ROWS, COLUMNS = 1, 2
"""Axes of the images as Keras has them."""

DEVIATION = (0.229, 0.224, 0.225)
SCALE = tuple(1 / (255 * each) for each in DEVIATION)
OFFSET = tuple(-mean / each for mean, each in zip((0.485, 0.456, 0.406), DEVIATION, strict=True))
"""ImageNet's standardisation of 0 to 255, red, green and blue."""

Edit = Callable[[ModelProto], None]


def seen_through(*steps: tuple[Any, ...], **attributes: Any) -> Edit:
    """Images that pass some operators before the network gets them.

    Args:
        steps: each an operator and its constants, in order.
        attributes: of every operator.
    """

    def change(model: ModelProto) -> None:
        first = graph.node(model, "Transpose", "input_1")
        for operator, *constants in steps:
            graph.ahead(model, first, operator, *constants, **attributes)

    return change


def rescaled(scale: Any, offset: Any = 0.0) -> specs.Change:
    """Images times a factor and plus a summand."""
    return specs.behind("input_1", "Rescaling", {"scale": scale, "offset": offset})


def brighter(size: float) -> Inject:
    """Images times 1 and a part."""
    return in_onnx(seen_through(("Mul", graph.floats(1 + size))))


def backwards(axis: int) -> Edit:
    """Images from their other end along an axis."""
    ends = (graph.ints(-1), graph.ints(-END), graph.ints(axis), graph.ints(-1))
    return seen_through(("Slice", *ends))


def moved(model: ModelProto) -> None:
    """Images one pixel to the right, with black at the left."""
    columns = (graph.ints(0), graph.ints(-1), graph.ints(COLUMNS))
    pads = graph.ints(0, 0, 1, 0, 0, 0, 0, 0)
    seen_through(("Pad", pads), ("Slice", *columns))(model)


def colours(model: ModelProto) -> None:
    """Blue, green and red for red, green and blue."""
    seen_through(("Gather", graph.ints(2, 1, 0)), axis=3)(model)


def unread(model: ModelProto) -> None:
    """The buffer of (N, H, W, C) read as (N, C, H, W): a Reshape where a Transpose belongs."""
    first = graph.node(model, "Transpose", "input_1")
    first.op_type = "Reshape"
    del first.attribute[:]
    first.input.append(graph.constant(model, graph.ints(-1, 3, 32, 32)))


def signed(model: ModelProto) -> None:
    """Bytes read as signed: 128 and more become negative."""
    first = graph.node(model, "Transpose", "input_1")
    byte = graph.ahead(model, first, "Cast", to=TensorProto.UINT8)
    graph.behind(model, byte, "Cast", to=TensorProto.INT8)
    graph.ahead(model, first, "Cast", to=TensorProto.FLOAT)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "onnx-bgr",
        "input",
        ONNX,
        "blue, green and red for red, green and blue",
        "layers",
        "input_1",
        in_onnx(colours),
    ),
    Fault(
        "torch-bgr",
        "input",
        TORCH,
        "the first kernel for blue, green and red",
        "layers",
        "conv2d",
        in_spec(specs.weights("conv2d", "kernel", lambda kernel: kernel[:, :, ::-1])),
    ),
    Fault(
        "onnx-input-divided-by-255",
        "input",
        ONNX,
        "0 to 1 where 0 to 255 is wanted",
        "layers",
        "input_1",
        in_onnx(seen_through(("Div", graph.floats(255)))),
    ),
    Fault(
        "torch-input-less-128",
        "input",
        TORCH,
        "-128 to 127 where 0 to 255 is wanted",
        "layers",
        "input_1",
        in_spec(rescaled(1.0, -128.0)),
    ),
    Fault(
        "torch-input-standardised",
        "input",
        TORCH,
        "ImageNet's mean and deviation where 0 to 255 is wanted",
        "layers",
        "input_1",
        in_spec(rescaled(SCALE, OFFSET)),
    ),
    Fault(
        "onnx-input-times-256-by-255",
        "input",
        ONNX,
        "0.39 % too bright",
        "layers",
        "input_1",
        brighter(1 / 255),
        sizes=(1 / 255, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
        resized=brighter,
    ),
    Fault(
        "onnx-lowest-bit-lost",
        "input",
        ONNX,
        "even values only",
        "layers",
        "input_1",
        in_onnx(seen_through(("Mul", graph.floats(0.5)), ("Floor",), ("Mul", graph.floats(2)))),
    ),
    Fault(
        "onnx-bytes-signed",
        "input",
        ONNX,
        "128 to 255 read as -128 to -1",
        "layers",
        "input_1",
        in_onnx(signed),
    ),
    Fault(
        "onnx-bytes-clamped",
        "input",
        ONNX,
        "values over 127 held there",
        "output-error",
        "input_1",
        in_onnx(seen_through(("Clip", graph.floats(0), graph.floats(127)))),
    ),
    Fault(
        "onnx-mirrored",
        "input",
        ONNX,
        "left for right",
        "layers",
        "input_1",
        in_onnx(backwards(COLUMNS)),
    ),
    Fault(
        "onnx-upside-down",
        "input",
        ONNX,
        "top for bottom",
        "layers",
        "input_1",
        in_onnx(backwards(ROWS)),
    ),
    Fault(
        "onnx-rows-for-columns",
        "input",
        ONNX,
        "height and width for each other",
        "layers",
        "input_1",
        in_onnx(seen_through(("Transpose",), perm=[0, 2, 1, 3])),
    ),
    Fault(
        "onnx-moved",
        "input",
        ONNX,
        "one pixel to the right",
        "layers",
        "input_1",
        in_onnx(moved),
    ),
    Fault(
        "onnx-nhwc-as-nchw",
        "input",
        ONNX,
        "the buffer of (N, H, W, C) read as (N, C, H, W)",
        "layers",
        "input_1",
        in_onnx(unread),
    ),
)
