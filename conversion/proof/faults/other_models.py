"""Faults of the artifact: another training or another model under the right name."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, helper

from conversion.core.spec import Spec
from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.graph_edits import in_weights_of_onnx
from conversion.proof.faults.injection import in_onnx, in_spec

TORCH, ONNX, VIA = "torch-fp32", "onnx-fp32", "torch-via-onnx-fp32"
ANOTHER = "5" * 64
"""The digest of a source file that is not the subject's."""


def noisy(size: float) -> specs.Change:
    """Every weight times 1 and noise, as another epoch of the training would leave it."""

    def change(spec: Spec) -> Spec:
        drawn = np.random.default_rng(0)
        return specs.every_weight(
            lambda array: array * (1 + size * drawn.standard_normal(array.shape))
        )(spec)

    return change


def of_another_source(model: ModelProto) -> None:
    """Weights 3 % away, and metadata that name another source file."""
    drawn = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        found = graph.stored(model, tensor.name)
        if found.dtype == np.float32:
            noise = 1 + 3e-2 * drawn.standard_normal(found.shape)
            graph.store(model, tensor.name, (found * noise).astype(np.float32))
    kept = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, {**kept, "conversion.source": ANOTHER})


def noise_in_torch(size: float) -> Inject:
    """Noise on every weight of the PyTorch file."""
    return in_spec(noisy(size))


FAULTS: tuple[Fault, ...] = (
    Fault(
        "torch-stale-checkpoint",
        "conversion",
        TORCH,
        "1 % of noise on every weight",
        "layers",
        "conv2d",
        noise_in_torch(1e-2),
        sizes=(1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
        resized=noise_in_torch,
    ),
    Fault(
        "via-onnx-stale-checkpoint",
        "conversion",
        VIA,
        "1 % of noise on every weight",
        "layers",
        "conv2d",
        in_weights_of_onnx(noisy(1e-2), VIA),
    ),
    Fault(
        "torch-of-another-model",
        "conversion",
        TORCH,
        "a file of another source under the right name, its weights 3 % away",
        "provenance",
        f"found {ANOTHER}",
        in_spec(noisy(3e-2), source=ANOTHER),
    ),
    Fault(
        "onnx-of-another-model",
        "conversion",
        ONNX,
        "a file of another source under the right name, its weights 3 % away",
        "provenance",
        f"found {ANOTHER}",
        in_onnx(of_another_source),
    ),
)
