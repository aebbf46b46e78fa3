"""Faults of BatchNormalization: eps, and which of its four vectors is which."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto

from conversion.core.spec import Spec
from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.graph_edits import in_weights_of_onnx
from conversion.proof.faults.injection import in_onnx, in_spec
from conversion.workspace import Workspace

TORCH, ONNX, VIA = "torch-fp32", "onnx-fp32", "torch-via-onnx-fp32"


def smaller_epsilon(size: float) -> Inject:
    """Every eps less a part of it; 0.99 of it makes 1e-3 PyTorch's 1e-5."""
    return in_spec(specs.epsilon(lambda found: found * (1 - size)))


def variance_from_mean(spec: Spec) -> Spec:
    """Mean and variance of one layer for each other, where the variance may not be negative."""
    swapped = specs.roles_exchanged("batch_normalization_3", "moving_mean", "moving_variance")
    held = specs.weights("batch_normalization_3", "moving_variance", lambda found: found.clip(0))
    return held(swapped(spec))


def of_the_batch(workspace: Workspace, folder: Path) -> Workspace:
    """batch_normalization_4 with the mean and variance of the batch, not the moving ones."""
    layer = workspace.spec.layer("batch_normalization_4")

    def change(model: ModelProto) -> None:
        scale, shift = graph.scale_and_shift(model, layer.name)
        roles = ("gamma", "beta", "moving_mean", "moving_variance")
        vectors = [layer.weights[role] for role in roles]
        eps = layer.config["epsilon"]
        made = graph.ahead(
            model, scale, "BatchNormalization", *vectors, epsilon=eps, training_mode=1
        )
        made.output.extend(["batch_mean", "batch_variance"])
        graph.drop(model, scale)
        graph.drop(model, shift)

    return in_onnx(change)(workspace, folder)


def dropped(model: ModelProto) -> None:
    """batch_normalization_2 left out."""
    for node in graph.scale_and_shift(model, "batch_normalization_2"):
        graph.drop(model, node)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "torch-eps-1e-5",
        "conversion",
        TORCH,
        "eps 1e-5 for 1e-3 in all seven layers",
        "layers",
        "batch_normalization_1",  # the first has variances of 2,000: no eps can be seen in it
        smaller_epsilon(0.99),
        sizes=(0.99, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        resized=smaller_epsilon,
    ),
    Fault(
        "onnx-eps-1e-5-in-one",
        "conversion",
        ONNX,
        "eps 1e-5 for 1e-3 in one layer",
        "layers",
        "batch_normalization_4",
        in_weights_of_onnx(specs.epsilon(lambda found: 1e-5, "batch_normalization_4")),
    ),
    Fault(
        "via-onnx-eps-0",
        "conversion",
        VIA,
        "eps 0 for 1e-3 in all seven layers",
        "layers",
        "batch_normalization_1",
        in_weights_of_onnx(specs.epsilon(lambda found: 0.0), VIA),
    ),
    Fault(
        "onnx-eps-1e-2",
        "conversion",
        ONNX,
        "eps 1e-2 for 1e-3 in all seven layers",
        "layers",
        "batch_normalization",
        in_weights_of_onnx(specs.epsilon(lambda found: 1e-2)),
    ),
    Fault(
        "torch-eps-1e-2-in-one",
        "conversion",
        TORCH,
        "eps 1e-2 for 1e-3 in one layer",
        "output-error",
        "batch_normalization_6",
        in_spec(specs.epsilon(lambda found: 1e-2, "batch_normalization_6")),
    ),
    Fault(
        "torch-gamma-beta-swapped",
        "conversion",
        TORCH,
        "gamma and beta of one layer for each other",
        "layers",
        "batch_normalization_1",
        in_spec(specs.roles_exchanged("batch_normalization_1", "gamma", "beta")),
    ),
    Fault(
        "onnx-gamma-beta-swapped",
        "conversion",
        ONNX,
        "gamma and beta of one layer for each other",
        "layers",
        "batch_normalization_5",
        in_weights_of_onnx(specs.roles_exchanged("batch_normalization_5", "gamma", "beta")),
    ),
    Fault(
        "torch-mean-variance-swapped",
        "conversion",
        TORCH,
        "mean and variance of one layer for each other: NaN, as a mean may be negative",
        "layers",
        "batch_normalization_2",
        in_spec(specs.roles_exchanged("batch_normalization_2", "moving_mean", "moving_variance")),
    ),
    Fault(
        "onnx-mean-variance-swapped",
        "conversion",
        ONNX,
        "mean and variance of one layer for each other, negative variances as 0",
        "layers",
        "batch_normalization_3",
        in_weights_of_onnx(variance_from_mean),
    ),
    Fault(
        "onnx-training-mode",
        "conversion",
        ONNX,
        "one layer takes mean and variance from the batch",
        "layers",
        "batch_normalization_4",
        of_the_batch,
    ),
    Fault(
        "torch-norms-swapped",
        "conversion",
        TORCH,
        "batch_normalization_5 and batch_normalization_6 for each other",
        "layers",
        "batch_normalization_5",
        in_spec(specs.twins_exchanged("batch_normalization_5", "batch_normalization_6")),
    ),
    Fault(
        "onnx-norm-dropped",
        "conversion",
        ONNX,
        "one layer left out",
        "layers",
        "batch_normalization_2",
        in_onnx(dropped),
    ),
    Fault(
        "torch-norm-dropped",
        "conversion",
        TORCH,
        "one layer left out",
        "layers",
        "batch_normalization_6",
        in_spec(specs.becomes("batch_normalization_6", "Activation", activation="linear")),
    ),
)
