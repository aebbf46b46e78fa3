"""Faults of activations: missing, doubled, or another function."""

from __future__ import annotations

from collections.abc import Callable

from onnx import ModelProto

from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import in_onnx, in_spec

TORCH, ONNX, VIA = "torch-fp32", "onnx-fp32", "torch-via-onnx-fp32"
ALL = " ".join(graph.RELUS)


def left_out(layer: str) -> Callable[[ModelProto], None]:
    """One ReLU left out of the graph."""
    return lambda model: graph.drop(model, graph.node(model, "Relu", layer))


def doubled(model: ModelProto) -> None:
    """A ReLU behind batch_normalization_2, which only the sum reads."""
    graph.behind(model, graph.node(model, "Add", "batch_normalization_2"), "Relu")


def instead(operator: str, *layers: str, **attributes: float) -> Callable[[ModelProto], None]:
    """Another function in the place of ReLU."""

    def change(model: ModelProto) -> None:
        for node in [graph.node(model, "Relu", layer) for layer in layers]:
            node.op_type = operator
            for name, value in attributes.items():
                graph.set_attribute(node, name, value)

    return change


def capped(model: ModelProto) -> None:
    """ReLU6 for every ReLU, as a Clip from 0 to 6."""
    for node in [graph.node(model, "Relu", layer) for layer in graph.RELUS]:
        node.op_type = "Clip"
        node.input.extend(graph.constant(model, graph.floats(end)) for end in (0, 6))


def leaking(size: float) -> Inject:
    """A slope below zero in every ReLU."""
    return in_spec(specs.becomes(ALL, "LeakyReLU", negative_slope=size))


def missing_of_onnx(layer: str) -> Fault:
    """One ReLU left out of the ONNX file."""
    return Fault(
        f"onnx-{layer.replace('_', '-')}-missing",
        "conversion",
        ONNX,
        "one ReLU left out",
        "layers",
        layer,
        in_onnx(left_out(layer)),
    )


def missing_of_torch(layer: str) -> Fault:
    """One ReLU left out of the PyTorch file."""
    return Fault(
        f"torch-{layer.replace('_', '-')}-missing",
        "conversion",
        TORCH,
        "one ReLU left out",
        "layers",
        layer,
        in_spec(specs.settings(layer, activation="linear")),
    )


FAULTS: tuple[Fault, ...] = (
    missing_of_onnx("activation"),
    missing_of_torch("activation_1"),
    missing_of_onnx("activation_2"),
    missing_of_torch("activation_3"),
    missing_of_onnx("activation_4"),
    missing_of_torch("activation_5"),
    missing_of_onnx("activation_6"),
    Fault(
        "onnx-relu-before-the-sum",
        "conversion",
        ONNX,
        "one ReLU too many, between a BatchNormalization and the sum",
        "layers",
        "batch_normalization_2",
        in_onnx(doubled),
    ),
    Fault(
        "onnx-relu6",
        "conversion",
        ONNX,
        "ReLU6 for all seven ReLUs",
        "layers",
        "activation",
        in_onnx(capped),
    ),
    Fault(
        "torch-leaky-relu",
        "conversion",
        TORCH,
        "a slope of 0.01 in all seven ReLUs",
        "layers",
        "activation",
        leaking(1e-2),
        sizes=(1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
        resized=leaking,
    ),
    Fault(
        "via-onnx-leaky-relu",
        "conversion",
        VIA,
        "a slope of 0.01 in all seven ReLUs",
        "layers",
        "activation",
        in_onnx(instead("LeakyRelu", *graph.RELUS, alpha=0.01), VIA),
    ),
)
