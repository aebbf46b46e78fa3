"""Files of another kind than they say: not quantized, half quantized, or quantized from others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from conversion.backends import Ingredients, torch_file
from conversion.backends.onnx_file import load
from conversion.core import digest
from conversion.core.artifact import Artifact
from conversion.core.spec import Spec
from conversion.proof.faults import spec_operators
from conversion.proof.faults.calibration_operators import scaled, times
from conversion.proof.faults.fault import Inject
from conversion.proof.faults.injection import in_litert, in_onnx, in_spec, put
from conversion.proof.faults.litert_operators import File
from conversion.proof.faults.onnx_graph import Graph
from conversion.proof.faults.onnx_int8_operators import noisy, weights_alone
from conversion.proof.faults.onnx_operators import ANOTHER
from conversion.proof.faults.torch_int8_state import IntegerState
from conversion.workspace import Workspace

INT8 = "onnx-int8"
Make = Callable[[str, Sequence[str], Any], Inject]
"""Takes the artifact that is judged, names of layers, and a size or other value."""


def with_scheme(workspace: Workspace, **scheme: Any) -> Workspace:
    """The same subject quantized to ONNX by another scheme."""
    chosen = replace(workspace.settings.onnx, **scheme)
    return workspace.with_settings(replace(workspace.settings, onnx=chosen))


def copied(name: str, _: Sequence[str], source: str) -> Inject:
    """The file of another artifact under the name of this one."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        good = workspace.artifact(source).path
        path = folder / f"{name}{good.suffix}"
        path.write_bytes(good.read_bytes())
        return put(workspace, folder, name, path)

    return inject


def of_scheme(name: str, _: Sequence[str], scheme: Mapping[str, Any]) -> Inject:
    """The file of another scheme, in a place where this one's is expected."""
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in scheme.items()}

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        path = folder / f"{name}.onnx"
        onnx.save(load(with_scheme(workspace, **plain).artifact(name).path), path)
        return put(workspace, folder, name, path)

    return inject


def stored_only(workspace: Workspace, folder: Path) -> Workspace:
    """Kernels are stored in int8 and cast to float, and nothing else is quantized."""
    floats = Graph(load(workspace.artifact("onnx-prepared").path), workspace.spec)
    return in_onnx(lambda _: weights_alone(floats.model, floats), INT8)(workspace, folder)


def dynamic(workspace: Workspace, folder: Path) -> Workspace:
    """Dynamic quantization: no calibration, ranges are taken from each batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / f"{INT8}.onnx"
    source = workspace.artifact("onnx-prepared").path
    quantize_dynamic(source, path, weight_type=QuantType.QUInt8)
    return put(workspace, folder, INT8, path)


def only(_: str, layers: Sequence[str], __: Any) -> Inject:
    """All but some layers left in float, in QDQ format."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        qdq = with_scheme(workspace, format="qdq")
        path, source = folder / f"{INT8}.onnx", qdq.artifact("onnx-prepared").path
        floats = Graph(load(source), workspace.spec)
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
            nodes_to_quantize=[floats.weighted(layer).name for layer in layers],
        )
        return put(qdq, folder, INT8, path)

    return inject


def finer_steps(name: str, layers: Sequence[str], factor: float) -> Inject:
    """Steps of kernels and of what they read are too fine: most of the integers are large.

    In a file whose first layer is in float, so that they alone can saturate.
    """

    def finer(graph: Graph) -> None:
        for layer in layers:
            for role in ("read_scale", "kernel_scale"):
                graph.edit(layer, role, lambda scale: scale / factor)
            graph.edit(layer, "kernel", lambda whole: np.clip(whole * factor, -127, 127).round())

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        first = next(layer.name for layer in workspace.spec.layers if "kernel" in layer.weights)
        return in_onnx(finer, name)(with_scheme(workspace, float_layers=(first,)), folder)

    return inject


def of_noisy_floats(_: str, __: Sequence[str], share: float) -> Inject:
    """The int8 file of another training of the float model, under the right name."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        from conversion.quantization import onnx_static

        graph = Graph(load(workspace.artifact("onnx-prepared").path), workspace.spec)
        noisy(graph, share)
        other, path = folder / "onnx-prepared.onnx", folder / f"{INT8}.onnx"
        onnx.save(graph.model, other)
        needs = {
            "onnx-prepared": Artifact("onnx-prepared", other, digest.of_file(other), {}),
            "onnx-places": workspace.artifact("onnx-places"),
            "onnx-ranges": workspace.artifact("onnx-ranges"),
        }
        chosen = Ingredients(workspace.spec, workspace.keras, workspace.settings, needs)
        onnx_static.build(chosen, path)
        return put(workspace, folder, INT8, path)

    return inject


def of_other_ranges(name: str, _: Sequence[str], factor: float) -> Inject:
    """An int8 file of other ranges than those that are on record: all off by a factor."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        aside = folder / "ranges"
        aside.mkdir()
        path = times(name, (), factor)(workspace, aside).artifact(name).path
        return put(workspace, folder, name, path)

    return inject


def scale_and_range_times(name: str, layers: Sequence[str], factor: float) -> Inject:
    """A scale is off in a PyTorch state, and in the ranges that the file keeps."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        content = torch_file.load(workspace.artifact(name).path, name)
        for layer in layers:
            entry = IntegerState(content["state_dict"], workspace.spec).place(layer, "scale")
            content["state_dict"][entry] *= factor
            kept = entry.removesuffix(".scale") + ".activation_post_process"
            content["ranges"][kept]["scale"] *= factor
        plain = {part: content[part] for part in ("spec", "scheme", "ranges", "state_dict")}
        path = folder / f"{name}.pt"
        torch_file.save(path, name, plain, content["provenance"])
        return put(workspace, folder, name, path)

    return inject


def dynamic_range(file: File) -> None:
    """Kernels in eight bits, everything else computed in float: "dynamic range" quantization."""
    from ai_edge_litert import schema_py_generated as schema

    for tensor in file.kernels():
        real = file.array(tensor)
        scale = np.abs(real).max(axis=tuple(range(1, real.ndim))) / 127
        whole = np.rint(real / scale.reshape(-1, *[1] * (real.ndim - 1)))
        tensor.type = schema.TensorType.INT8
        tensor.quantization = schema.QuantizationParametersT()
        file.put(tensor, whole.astype(np.int8), scale)


def litert_of_scaled(workspace: Workspace, folder: Path) -> Workspace:
    """Calibrated on pixels from 0 to 1, as if the model scaled them itself."""
    from conversion.quantization.calibration import load as images_of

    images, path = folder / "scaled.npy", folder / "litert-int8.tflite"
    np.save(images, scaled(images_of(workspace.artifact("calibration").path).images))
    path.write_bytes(workspace.keras.to_litert(images)[0])
    return put(workspace, folder, "litert-int8", path)


def of_another_source(_: str, layers: Sequence[str], size: float) -> Inject:
    """A PyTorch file that names another source, its weights some way off."""

    def misread(spec: Spec) -> Spec:
        weighted = [layer.name for layer in spec.layers if layer.weights]
        return spec_operators.noisy(spec, layers or weighted, size)

    return in_spec(misread, source=ANOTHER)


OPERATORS: Mapping[str, Make] = {
    "file:copied": copied,
    "file:of-another-source": of_another_source,
    "file:of-scheme": of_scheme,
    "file:weights-alone": lambda *_: stored_only,
    "file:dynamic": lambda *_: dynamic,
    "file:only": only,
    "file:steps-finer": finer_steps,
    "file:of-noisy-floats": of_noisy_floats,
    "file:of-other-ranges": of_other_ranges,
    "file:scale-and-range-times": scale_and_range_times,
    "file:litert-dynamic": lambda name, *_: in_litert(dynamic_range, name, "litert-fp32"),
    "file:litert-of-scaled-pixels": lambda *_: litert_of_scaled,
}
"""Name to a way of making a file that is not what it says."""
