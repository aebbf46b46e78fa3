"""Faults of pooling, of flattening, and of the dense layer behind them."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import in_onnx, in_spec

TORCH, ONNX, VIA = "torch-fp32", "onnx-fp32", "torch-via-onnx-fp32"
POOL = ("AveragePool", "average_pooling2d")


def maximum(model: ModelProto) -> None:
    """The largest value of each window."""
    graph.node(model, *POOL).op_type = "MaxPool"


def weighed(size: float) -> Inject:
    """The average times 1 and a part."""

    def change(model: ModelProto) -> None:
        graph.behind(model, graph.node(model, *POOL), "Mul", graph.floats(1 + size))

    return in_onnx(change)


def divided_by_63(model: ModelProto) -> None:
    """The sum of 64 divided by 63."""
    graph.behind(model, graph.node(model, *POOL), "Mul", graph.floats(64 / 63))


def smaller_window(model: ModelProto) -> None:
    """A window of 7 by 7 in an image of 8 by 8."""
    graph.set_attribute(graph.node(model, *POOL), "kernel_shape", [7, 7])


def column_major(model: ModelProto) -> None:
    """The 64 values flattened as if they were 8 rows of 8, columns first."""
    square = graph.behind(model, graph.node(model, *POOL), "Reshape", graph.ints(-1, 8, 8))
    graph.behind(model, square, "Transpose", perm=[0, 2, 1])


def rows_permuted(kernel: np.ndarray) -> np.ndarray:
    """Rows as for that other order of flattening."""
    return kernel.reshape(8, 8, -1).swapaxes(0, 1).reshape(kernel.shape)


def reshaped(kernel: np.ndarray) -> np.ndarray:
    """The buffer of (in, out) read as if it were (out, in)."""
    return kernel.reshape(kernel.shape[::-1]).T


def without_bias(model: ModelProto) -> None:
    """The dense layer without its sum."""
    graph.drop(model, graph.node(model, "Add", "dense"))


FAULTS: tuple[Fault, ...] = (
    Fault(
        "onnx-max-pool",
        "conversion",
        ONNX,
        "the largest value for the average",
        "onnx-operators",
        "'MaxPool': 1",
        in_onnx(maximum),
    ),
    Fault(
        "torch-max-pool",
        "conversion",
        TORCH,
        "the largest value for the average",
        "layers",
        "average_pooling2d",
        in_spec(
            specs.becomes(
                "average_pooling2d",
                "MaxPooling2D",
                pool_size=(8, 8),
                strides=(8, 8),
                padding="valid",
            )
        ),
    ),
    Fault(
        "onnx-sum-pool",
        "conversion",
        ONNX,
        "the sum for the average: 64 times as much",
        "layers",
        "average_pooling2d",
        weighed(63.0),
    ),
    Fault(
        "onnx-pool-divides-by-63",
        "conversion",
        ONNX,
        "the average 1.6 % too large, as where padding is counted wrongly",
        "layers",
        "average_pooling2d",
        weighed(1 / 63),
        sizes=(1 / 63, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
        resized=weighed,
    ),
    Fault(
        "via-onnx-pool-divides-by-63",
        "conversion",
        VIA,
        "the average 1.6 % too large, as where padding is counted wrongly",
        "layers",
        "average_pooling2d",
        in_onnx(divided_by_63, VIA),
    ),
    Fault(
        "onnx-pool-of-7",
        "conversion",
        ONNX,
        "a window of 7 by 7 for 8 by 8",
        "layers",
        "average_pooling2d",
        in_onnx(smaller_window),
    ),
    Fault(
        "onnx-flatten-order",
        "conversion",
        ONNX,
        "64 values flattened as 8 columns of 8, not 8 rows",
        "layers",
        "flatten",
        in_onnx(column_major),
    ),
    Fault(
        "torch-dense-for-another-flatten-order",
        "conversion",
        TORCH,
        "rows of the dense kernel as 8 columns of 8, not 8 rows",
        "layers",
        "dense",
        in_spec(specs.weights("dense", "kernel", rows_permuted)),
    ),
    Fault(
        "torch-dense-reshaped",
        "conversion",
        TORCH,
        "the dense kernel's buffer reshaped, not transposed",
        "weights",
        "dense",
        in_spec(specs.weights("dense", "kernel", reshaped)),
    ),
    Fault(
        "onnx-dense-bias-lost",
        "conversion",
        ONNX,
        "the dense bias lost: one node dropped",
        "margins",
        "dense",
        in_onnx(without_bias),
    ),
)
