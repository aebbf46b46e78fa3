"""Faults of files that claim int8: they compute in float, or their sums fit VNNI alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from conversion.backends.onnx_file import load
from conversion.core.artifact import Store
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.graph_edits import constant
from conversion.proof.faults.injection import exchanged, in_onnx
from conversion.proof.faults.integer_graph import INT8, change
from conversion.workspace import Workspace

HALF = ("conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4")
"""Two pairs of convolutions: one alone between two casts ONNX Runtime would quantize itself."""


def stored_only(workspace: Workspace, folder: Path) -> Workspace:
    """Kernels are stored in int8 and cast to float, and nothing else is quantized."""
    floats = load(workspace.artifact("onnx-prepared").path)
    return in_onnx(lambda model: _weights_alone(floats), INT8)(workspace, folder)


def _weights_alone(model: ModelProto) -> ModelProto:
    kernels = {each.name: each for each in model.graph.initializer if len(each.dims) > 1}
    for node in [each for each in model.graph.node if each.op_type in ("Conv", "MatMul", "Gemm")]:
        kernel = numpy_helper.to_array(kernels[node.input[1]])
        axis = 0 if node.op_type == "Conv" else 1
        scale = np.abs(kernel).max(axis=tuple(set(range(kernel.ndim)) - {axis})) / 127
        shape = [-1 if each == axis else 1 for each in range(kernel.ndim)]
        whole = np.rint(kernel / scale.reshape(shape)).astype(np.int8)
        zeros = np.zeros(scale.shape, np.int8)
        reads = [constant(model, each) for each in (whole, scale.astype(np.float32), zeros)]
        cast = helper.make_node("DequantizeLinear", reads, [f"{reads[0]}_real"], axis=axis)
        node.input[1] = cast.output[0]
        model.graph.node.insert(0, cast)
    read = {name for node in model.graph.node for name in node.input}
    for name in set(kernels) - read:
        model.graph.initializer.remove(kernels[name])
    return model


def quantized_otherwise(**scheme: object) -> Inject:
    """The file of another scheme, in a place where this one's is expected."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        path = folder / f"{INT8}.onnx"
        onnx.save(load(_by(workspace, **scheme).artifact(INT8).path), path)
        store = Store(folder / "store")
        return workspace.injected(store, {INT8: exchanged(workspace, INT8, path)})

    return inject


def finer_steps(factor: float) -> Inject:
    """The steps of a kernel and of what it reads are too fine: most of the integers are large."""

    def fault(model: ModelProto) -> None:
        layer = "conv2d_1"
        change(model, layer, "read_scale", lambda scale: scale / factor)
        change(model, layer, "kernel_scale", lambda scale: scale / factor)
        change(model, layer, "kernel", lambda whole: np.clip(whole * factor, -127, 127).round())

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        return in_onnx(fault, INT8)(_by(workspace, float_layers=("conv2d",)), folder)

    return inject


def _by(workspace: Workspace, **scheme: object) -> Workspace:
    """The same subject quantized by another scheme."""
    chosen = replace(workspace.settings.onnx, **scheme)  # type: ignore[arg-type]  # by its name
    return workspace.with_settings(replace(workspace.settings, onnx=chosen))


def _fault(name: str, magnitude: str, check: str, where: str, inject: Inject) -> Fault:
    return Fault(f"onnx-{name}", "quantization", INT8, magnitude, check, where, inject)


FAULTS: tuple[Fault, ...] = (
    _fault(
        "weights-alone-in-int8",
        "every multiplication in float",
        "integer-kernels",
        "conv2d",
        stored_only,
    ),
    _fault(
        "half-in-float",
        "4 of 9 convolutions in float, which the scheme does not say",
        "integer-kernels",
        "conv2d_1",
        quantized_otherwise(float_layers=HALF),
    ),
    _fault(
        "int8-activations-qdq",
        "6 of 9 convolutions that ONNX Runtime cannot fuse",
        "integer-kernels",
        "conv2d",
        quantized_otherwise(activations="int8", format="qdq", float_layers=()),
    ),
    _fault(
        "pixels-times-eight-bits",
        "raw pixels in uint8 and a first kernel of eight bits",
        "saturation",
        "conv2d",
        quantized_otherwise(float_layers=(), reduce_range=False),
    ),
    _fault(
        "steps-too-fine",
        "x8 of the integers of one kernel and of what it reads, clipped",
        "saturation",
        "conv2d_1",
        finer_steps(8),
    ),
)
