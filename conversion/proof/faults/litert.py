"""Faults of LiteRT files: of another kind than they say, of another model, calibrated otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.artifact import Store
from conversion.core.spec import Spec
from conversion.proof.faults.calibration_sets import of_pixels, scaled
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import exchanged
from conversion.workspace import Workspace

FLOAT, INT8 = "litert-fp32", "litert-int8"
ANOTHER = "5" * 64
"""The digest of a source file that is not the subject's."""

KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def in_litert(change: Callable[[Any, Spec], None], name: str = INT8, source: str = INT8) -> Inject:
    """A fault in a LiteRT file.

    Args:
        change: changes the model, which it is given with the spec.
        name: the artifact.
        source: the artifact whose file is changed.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        from conversion.backends.litert_file import load, packed

        model = load(workspace.artifact(source).path)
        change(model, workspace.spec)
        return _placed(workspace, folder, name, packed(model))

    return inject


def calibrated_on_scaled(workspace: Workspace, folder: Path) -> Workspace:
    """Calibrated on pixels from 0 to 1, as if the model scaled them itself."""
    from conversion.quantization.calibration import load

    images = folder / "scaled.npy"
    np.save(images, scaled(load(workspace.artifact("calibration").path).images))
    content, _ = workspace.keras.to_litert(images)
    return _placed(workspace, folder, INT8, content)


def _placed(workspace: Workspace, folder: Path, name: str, content: bytes) -> Workspace:
    path = folder / f"{name}.tflite"
    path.write_bytes(content)
    store = Store(folder / "store")
    return workspace.injected(store, {name: exchanged(workspace, name, path)})


def unchanged(model: Any, spec: Spec) -> None:
    """Nothing: the file is right, and stands in for another one."""


def dynamic(model: Any, spec: Spec) -> None:
    """Kernels in eight bits, everything else computed in float: "dynamic range" quantization."""
    from ai_edge_litert import schema_py_generated as schema

    for tensor in _kernels(model):
        real = _array(model, tensor, np.float32)
        scale = np.abs(real).max(axis=tuple(range(1, real.ndim))) / 127
        whole = np.rint(real / scale.reshape(-1, *[1] * (real.ndim - 1)))
        tensor.type = schema.TensorType.INT8
        tensor.quantization = schema.QuantizationParametersT()
        _store(model, tensor, whole.astype(np.int8), scale)


def per_tensor(model: Any, spec: Spec) -> None:
    """One scale for each kernel."""
    for operation in _with_kernels(model):
        read, tensor, bias = (model.subgraphs[0].tensors[int(i)] for i in operation.inputs)
        real = _real(model, tensor, np.int8)
        scale = np.abs(real).max().reshape(1) / 127
        shift = _real(model, bias, np.int32)
        _store(model, tensor, np.rint(real / scale).astype(np.int8), scale)
        unit = scale * read.quantization.scale
        _store(model, bias, np.rint(shift / unit).astype(np.int32), unit)


def noisy(model: Any, spec: Spec) -> None:
    """Kernels of another training of the model."""
    drawn = np.random.default_rng(0)
    for tensor in _kernels(model):
        whole = _array(model, tensor, np.int8)
        changed = whole * (1 + 0.1 * drawn.standard_normal(whole.shape))
        _put(model, tensor, np.clip(np.rint(changed), -127, 127).astype(np.int8))


def of_another_source(model: Any, spec: Spec) -> None:
    """The metadata name another source file, and the weights are 3 % away."""
    drawn = np.random.default_rng(0)
    for tensor in _kernels(model):
        real = _array(model, tensor, np.float32)
        _put(model, tensor, (real * (1 + 0.03 * drawn.standard_normal(real.shape))))
    for entry in model.metadata:
        if entry.name == b"conversion.source":
            model.buffers[entry.buffer].data = np.frombuffer(ANOTHER.encode(), np.uint8)


def weight_off(share: float) -> Callable[[Any, Spec], None]:
    """The largest weight of one kernel is off by a share of itself."""

    def change(model: Any, spec: Spec) -> None:
        tensor = model.subgraphs[0].tensors[int(_operation(model, spec, "conv2d_4").inputs[1])]
        real = _array(model, tensor, np.float32).copy()
        real.flat[np.abs(real).argmax()] *= 1 + share
        _put(model, tensor, real)

    return change


def activation_lost(model: Any, spec: Spec) -> None:
    """The activation that one convolution computes itself is not there."""
    _operation(model, spec, "conv2d_1").builtinOptions.fusedActivationFunction = 0


def zero_point_off(model: Any, spec: Spec) -> None:
    """The zero point of one activation is one step too high."""
    written = _written(model, spec, "conv2d_6")
    written.zeroPoint = written.zeroPoint + 1


def scale_too_small(model: Any, spec: Spec) -> None:
    """The scale of one activation is a quarter of what it should be; the rest is clipped."""
    written = _written(model, spec, "conv2d_4")
    written.scale = written.scale / 4


def every_scale_halved(model: Any, spec: Spec) -> None:
    """The scales of all sums are half of what they should be."""
    for layer in ("add", "add_1", "add_2"):
        written = _written(model, spec, layer)
        written.scale = written.scale / 2


def _written(model: Any, spec: Spec, layer: str) -> Any:
    """Scale and zero point of what the operation of a layer gives."""
    index = int(_operation(model, spec, layer).outputs[0])
    return model.subgraphs[0].tensors[index].quantization


def _operation(model: Any, spec: Spec, layer: str) -> Any:
    from conversion.proof.taps.alignment import align
    from conversion.proof.taps.litert_operations import graph_of

    writes = align(spec, graph_of(model, spec)).places[layer].operations[0].writes
    operations = model.subgraphs[0].operators
    return next(each for each in operations if int(each.outputs[0]) == int(writes))


def _with_kernels(model: Any) -> list[Any]:
    from conversion.backends.litert_file import operator

    return [each for each in model.subgraphs[0].operators if operator(model, each) in KERNELS]


def _kernels(model: Any) -> list[Any]:
    return [model.subgraphs[0].tensors[int(each.inputs[1])] for each in _with_kernels(model)]


def _array(model: Any, tensor: Any, dtype: Any) -> np.ndarray:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype).reshape(tensor.shape)


def _real(model: Any, tensor: Any, dtype: Any) -> np.ndarray:
    whole = _array(model, tensor, dtype)
    scale = np.asarray(tensor.quantization.scale)
    return np.asarray(whole * scale.reshape(-1, *[1] * (whole.ndim - 1)))


def _put(model: Any, tensor: Any, array: np.ndarray) -> None:
    plain = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else array.dtype)
    model.buffers[tensor.buffer].data = np.frombuffer(plain.tobytes(), np.uint8)


def _store(model: Any, tensor: Any, whole: np.ndarray, scale: np.ndarray) -> None:
    _put(model, tensor, whole)
    tensor.quantization.scale = scale.astype(np.float32)
    tensor.quantization.zeroPoint = np.zeros(len(scale), np.int64)
    tensor.quantization.quantizedDimension = 0


def _fault(
    name: str, artifact: str, magnitude: str, check: str, where: str, inject: Inject
) -> Fault:
    stage = "quantization" if artifact == INT8 else "conversion"
    return Fault(f"litert-{name}", stage, artifact, magnitude, check, where, inject)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "litert-weight-off",
        "conversion",
        FLOAT,
        "1 % of one weight",
        "weights",
        "batch_normalization_4",
        in_litert(weight_off(0.01), FLOAT, FLOAT),
        sizes=(0.1, 0.01, 0.001, 1e-4, 1e-5),
        resized=lambda share: in_litert(weight_off(share), FLOAT, FLOAT),
    ),
    _fault(
        "activation-lost",
        FLOAT,
        "one ReLU that a convolution computes itself",
        "layers",
        "activation_1",
        in_litert(activation_lost, FLOAT, FLOAT),
    ),
    _fault(
        "of-another-model",
        FLOAT,
        "a file of another source under the right name, its weights 3 % away",
        "provenance",
        f"found {ANOTHER}",
        in_litert(of_another_source, FLOAT, FLOAT),
    ),
    _fault(
        "float-as-int8",
        INT8,
        "no kernel quantized",
        "integer-weights",
        "eight bits",
        in_litert(unchanged, INT8, FLOAT),
    ),
    _fault(
        "dynamic-range-as-integer",
        INT8,
        "kernels in eight bits, every activation in float",
        "integer-weights",
        "CONV_2D",
        in_litert(dynamic, INT8, FLOAT),
    ),
    _fault(
        "per-tensor-as-per-channel",
        INT8,
        "one scale for each kernel",
        "quantized-parameters",
        "the kernel of conv2d",
        in_litert(per_tensor),
    ),
    _fault(
        "stale-float-model",
        INT8,
        "10 % noise on every kernel",
        "quantized-parameters",
        "the kernel of conv2d",
        in_litert(noisy),
    ),
    _fault(
        "zero-point-off-by-one",
        INT8,
        "1 step of one activation",
        "ranges",
        "activation_5",
        in_litert(zero_point_off),
    ),
    _fault(
        "scale-too-small",
        INT8,
        "x0.25 of one activation's scale",
        "quantized-layers",
        "batch_normalization_4",
        in_litert(scale_too_small),
    ),
    _fault(
        "scales-of-sums-halved",
        INT8,
        "x0.5 of the scales of three activations",
        "agreement",
        "answers are not onnx-fp32's",
        in_litert(every_scale_halved),
    ),
    _fault(
        "calibrated-on-scaled-pixels",
        INT8,
        "pixels / 255 to the converter, another set on record",
        "ranges",
        "input_1",
        calibrated_on_scaled,
    ),
    Fault(
        "litert-calibration-of-scaled-pixels",
        "calibration",
        INT8,
        "pixels / 255",
        "calibration",
        "times 0.0039",
        of_pixels(scaled),
    ),
)
