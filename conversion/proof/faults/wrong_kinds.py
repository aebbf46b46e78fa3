"""Files of another kind than they say: not quantized, half quantized, or quantized from others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx

from conversion.backends import Ingredients
from conversion.core import digest
from conversion.core.artifact import Artifact, Store
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import exchanged, in_onnx
from conversion.proof.faults.integer_graph import (
    INT8,
    as_qdq,
    noisy,
    operator,
)
from conversion.proof.faults.recorded_ranges import edited, edited_in_torch, wider
from conversion.workspace import Workspace


def float_as_int8(workspace: Workspace, folder: Path) -> Workspace:
    """The float file, said to be the int8 one."""
    floats = onnx.load(workspace.artifact("onnx-fp32").path)
    return in_onnx(lambda model: floats, INT8)(workspace, folder)


def dynamic(workspace: Workspace, folder: Path) -> Workspace:
    """Dynamic quantization: no calibration, ranges are taken from each batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / f"{INT8}.onnx"
    source = workspace.artifact("onnx-prepared").path
    quantize_dynamic(source, path, weight_type=QuantType.QUInt8)
    return workspace.injected(_store(folder), {INT8: exchanged(workspace, INT8, path)})


def per_tensor(workspace: Workspace, folder: Path) -> Workspace:
    """Kernels of one scale each, said to have one for each channel."""
    scheme = replace(workspace.settings.onnx, per_channel=False)
    coarse = workspace.with_settings(replace(workspace.settings, onnx=scheme))
    model = onnx.load(coarse.artifact(INT8).path)
    return in_onnx(lambda good: model, INT8)(workspace, folder)


def first_convolution_only(workspace: Workspace, folder: Path) -> Workspace:
    """All but the first convolution left in float, in QDQ format."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    qdq = as_qdq(workspace)
    path, source = folder / f"{INT8}.onnx", qdq.artifact("onnx-prepared").path
    quantize_static(
        source,
        path,
        None,
        calibration_cache_path=qdq.artifact("onnx-ranges").path,
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=qdq.settings.onnx.seven_bits,
        nodes_to_quantize=[operator(onnx.load(source), "conv2d").name],
    )
    return qdq.injected(_store(folder), {INT8: exchanged(qdq, INT8, path)})


def of_noisy_floats(share: float) -> Inject:
    """The int8 file of another training of the float model, under the right name."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        from conversion.quantization import onnx_static

        model = onnx.load(workspace.artifact("onnx-prepared").path)
        noisy(model, share)
        other, path = folder / "onnx-prepared.onnx", folder / f"{INT8}.onnx"
        onnx.save(model, other)
        needs = {
            "onnx-prepared": Artifact("onnx-prepared", other, digest.of_file(other), {}),
            "onnx-places": workspace.artifact("onnx-places"),
            "onnx-ranges": workspace.artifact("onnx-ranges"),
        }
        chosen = Ingredients(workspace.spec, workspace.keras, workspace.settings, needs)
        onnx_static.build(chosen, path)
        return workspace.injected(_store(folder), {INT8: exchanged(workspace, INT8, path)})

    return inject


def of_other_ranges(name: str, ranges: Inject) -> Inject:
    """An int8 file of other ranges than those that are on record.

    Args:
        name: the artifact.
        ranges: exchanges the ranges.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        aside = folder / "ranges"
        aside.mkdir()
        path = ranges(workspace, aside).artifact(name).path
        return workspace.injected(_store(folder), {name: exchanged(workspace, name, path)})

    return inject


def _store(folder: Path) -> Store:
    return Store(folder / "store")


FAULTS: tuple[Fault, ...] = (
    Fault(
        "onnx-float-as-int8",
        "quantization",
        INT8,
        "no kernel quantized",
        "integer-weights",
        "eight bits",
        float_as_int8,
    ),
    Fault(
        "onnx-dynamic-as-static",
        "quantization",
        INT8,
        "every range taken from the batch",
        "onnx-operators",
        "DynamicQuantizeLinear",
        dynamic,
    ),
    Fault(
        "onnx-per-tensor-as-per-channel",
        "quantization",
        INT8,
        "one scale for each kernel",
        "quantized-parameters",
        "activation",
        per_tensor,
    ),
    Fault(
        "qdq-first-convolution-only",
        "quantization",
        INT8,
        "8 of 9 convolutions and the dense layer in float",
        "quantized-parameters",
        "the kernel of conv2d_1",
        first_convolution_only,
    ),
    Fault(
        "onnx-stale-float-model",
        "quantization",
        INT8,
        "3 % noise on every kernel before it was quantized",
        "quantized-parameters",
        "activation",
        of_noisy_floats(0.03),
        sizes=(0.1, 0.03, 0.01, 0.001, 0.0001),
        resized=of_noisy_floats,
    ),
    Fault(
        "onnx-of-other-ranges",
        "quantization",
        INT8,
        "every range 3 % wider than on record",
        "quantized-parameters",
        "input_1",
        of_other_ranges(INT8, edited(wider)),
    ),
    Fault(
        "torch-of-other-ranges",
        "quantization",
        "torch-int8",
        "every scale 3 % larger than on record",
        "quantized-parameters",
        "input_1",
        of_other_ranges("torch-int8", edited_in_torch(lambda _, scale: scale * 1.03)),
    ),
)
