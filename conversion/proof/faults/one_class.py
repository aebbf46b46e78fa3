"""Faults that one class pays for: the count of all right answers hardly moves."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.graph_edits import stored
from conversion.proof.faults.injection import in_onnx
from conversion.proof.faults.integer_graph import (
    INT8,
    ROLES,
    change,
    operator,
)

CLASS = 0


def disfavoured(share: float) -> Inject:
    """The bias of one class is lower.

    Args:
        share: by so much of the range that the outputs have.
    """

    def fault(model: ModelProto) -> None:
        node = operator(model, "dense")

        def read(role: str) -> np.ndarray:
            found: np.ndarray = stored(model, node.input[ROLES["QGemm"].index(role)])
            return found

        step = float(read("read_scale")) * np.broadcast_to(read("kernel_scale"), 10)[CLASS]
        lower = round(share * 255 * float(read("scale")) / step)

        def edit(bias: np.ndarray) -> np.ndarray:
            bias[CLASS] -= lower
            return bias

        change(model, "dense", "bias", edit)

    return in_onnx(fault, INT8)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "onnx-one-class-disfavoured",
        "quantization",
        INT8,
        "the bias of 1 of 10 classes, by 5 % of the outputs' range",
        "classes",
        "times 10 classes",
        disfavoured(0.05),
        sizes=(0.15, 0.1, 0.05, 0.02, 0.01),
        resized=disfavoured,
    ),
)
