"""Faults of residual sums: a side that is missing, or taken from the wrong place."""

from __future__ import annotations

from collections.abc import Callable

from onnx import ModelProto

from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault
from conversion.proof.faults.injection import in_onnx, in_spec

TORCH, ONNX = "torch-fp32", "onnx-fp32"


def only(layer: str, kept: int) -> Callable[[ModelProto], None]:
    """A sum of which one side is left."""
    return lambda model: graph.drop(model, graph.node(model, "Add", layer), kept)


def before_its_relu(model: ModelProto) -> None:
    """The first shortcut taken in front of `activation`."""
    relu = graph.node(model, "Relu", "activation")
    graph.node(model, "Add", "add").input[0] = relu.input[0]


FAULTS: tuple[Fault, ...] = (
    Fault(
        "onnx-shortcut-1-dropped",
        "conversion",
        ONNX,
        "the first sum gives its branch alone",
        "layers",
        "add",
        in_onnx(only("add", kept=1)),
    ),
    Fault(
        "torch-shortcut-2-dropped",
        "conversion",
        TORCH,
        "the second sum gives its branch alone",
        "layers",
        "add_1",
        in_spec(specs.reads("add_1", "batch_normalization_4")),
    ),
    Fault(
        "onnx-shortcut-3-dropped",
        "conversion",
        ONNX,
        "the third sum gives its branch alone",
        "layers",
        "add_2",
        in_onnx(only("add_2", kept=1)),
    ),
    Fault(
        "torch-branch-dropped",
        "conversion",
        TORCH,
        "the third sum gives its shortcut alone",
        "layers",
        "add_2",
        in_spec(specs.reads("add_2", "conv2d_8")),
    ),
    Fault(
        "onnx-shortcut-before-its-relu",
        "conversion",
        ONNX,
        "the first shortcut taken one operator too early",
        "layers",
        "add",
        in_onnx(before_its_relu),
    ),
    Fault(
        "torch-shortcut-from-the-wrong-place",
        "conversion",
        TORCH,
        "the third shortcut reads activation_3, not activation_4",
        "layers",
        "conv2d_8",
        in_spec(specs.reads("conv2d_8", "activation_3")),
    ),
)
