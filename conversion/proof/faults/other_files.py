"""Files of another kind than they say: not quantized, half quantized, or quantized from others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from conversion.proof.faults import calibration_operators, onnx_operators
from conversion.proof.faults.fault import Asked, NotInjectable, OfWorkspace
from conversion.proof.faults.injection import in_litert, in_onnx, in_spec, put
from conversion.proof.faults.litert_operators import File
from conversion.proof.faults.onnx_graph import Graph
from conversion.proof.faults.onnx_int8_operators import noisy, weights_alone
from conversion.proof.faults.onnx_port_operators import ANOTHER
from conversion.proof.faults.torch_int8_state import IntegerState
from conversion.proof.standard import spec_operators
from conversion.workspace import Workspace


def with_scheme(workspace: Workspace, **scheme: Any) -> Workspace:
    """The same subject quantized to ONNX by another scheme."""
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in scheme.items()}
    chosen = replace(workspace.settings.onnx, **plain)
    return workspace.with_settings(replace(workspace.settings, onnx=chosen))


def written(make: Callable[[Workspace, Path, Asked], None]) -> OfWorkspace:
    """A file in the place of the artifact's.

    Args:
        make: writes it to a path in an empty folder.
    """

    def inject(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
        name = asked.artifact
        path = folder / f"{name}{workspace.artifact(name).path.suffix}"
        make(workspace, path, asked)
        return put(workspace, folder, name, path)

    return inject


def copied(workspace: Workspace, path: Path, asked: Asked) -> None:
    """The file of another artifact."""
    path.write_bytes(workspace.artifact(asked.value).path.read_bytes())


def float_file(workspace: Workspace, path: Path, asked: Asked) -> None:
    """The float file of the same route."""
    if asked.artifact.startswith("torch"):
        raise NotInjectable("a PyTorch file says itself what it is")
    copied(workspace, path, replace(asked, value=asked.artifact.replace("int8", "fp32")))


def of_scheme(workspace: Workspace, path: Path, asked: Asked) -> None:
    """The file of another scheme."""
    onnx.save(load(with_scheme(workspace, **asked.value).artifact(asked.artifact).path), path)


def stored_only(workspace: Workspace, path: Path, _: Asked) -> None:
    """Kernels are stored in int8 and cast to float, and nothing else is quantized."""
    floats = prepared(workspace)
    onnx.save(weights_alone(floats.model, floats), path)


def dynamic(workspace: Workspace, path: Path, _: Asked) -> None:
    """Dynamic quantization: no calibration, ranges are taken from each batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source = workspace.artifact("onnx-prepared").path
    quantize_dynamic(source, path, weight_type=QuantType.QUInt8)


def only(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
    """All but some layers left in float, in QDQ format."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    qdq, floats = with_scheme(workspace, format="qdq"), prepared(workspace)
    path = folder / f"{asked.artifact}.onnx"
    quantize_static(
        qdq.artifact("onnx-prepared").path,
        path,
        None,
        calibration_cache_path=qdq.artifact("onnx-ranges").path,
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=qdq.settings.onnx.seven_bits,
        nodes_to_quantize=[floats.weighted(layer).name for layer in asked.layers],
    )
    return put(qdq, folder, asked.artifact, path)


def finer_steps(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
    """Steps of kernels and of what they read are too fine: most of the integers are large.

    In a file whose first layer is in float, so that they alone can saturate.
    """
    factor = asked.value

    def finer(graph: Graph) -> None:
        for layer in asked.layers:
            for role in ("read_scale", "kernel_scale"):
                graph.edit(layer, role, lambda scale: scale / factor)
            graph.edit(layer, "kernel", lambda whole: np.clip(whole * factor, -127, 127).round())

    first = next(layer.name for layer in workspace.spec.layers if "kernel" in layer.weights)
    return in_onnx(finer, asked.artifact)(with_scheme(workspace, float_layers=(first,)), folder)


def of_noisy_floats(workspace: Workspace, path: Path, asked: Asked) -> None:
    """The int8 file of another training of the float model."""
    from conversion.quantization import onnx_static

    graph, other = prepared(workspace), path.with_name("onnx-prepared.onnx")
    noisy(graph, asked.value)
    onnx.save(graph.model, other)
    needs = {name: workspace.artifact(name) for name in ("onnx-places", "onnx-ranges")}
    needs["onnx-prepared"] = Artifact("onnx-prepared", other, digest.of_file(other), {})
    onnx_static.build(Ingredients(workspace.spec, workspace.keras, workspace.settings, needs), path)


def of_floats_without_activation(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
    """An int8 file calibrated and made in earnest, of floats in which an activation is missing."""
    if not asked.artifact.startswith("onnx"):
        raise NotInjectable(f"{asked.artifact} is not made from a float graph")

    def change(graph: Graph) -> None:
        onnx_operators.OPERATORS["activation-missing"](graph, asked.layers, None)

    return in_onnx(change, "onnx-prepared")(workspace, folder)


def of_other_ranges(workspace: Workspace, path: Path, asked: Asked) -> None:
    """An int8 file of other ranges than those that are on record: all off by a factor."""
    aside = path.with_name("ranges")
    aside.mkdir()
    made = calibration_operators.times(workspace, aside, replace(asked, layers=()))
    path.write_bytes(made.artifact(asked.artifact).path.read_bytes())


def scale_and_range_times(workspace: Workspace, path: Path, asked: Asked) -> None:
    """Scales are off in a PyTorch state, and in the ranges that the file keeps."""
    content = torch_file.load(workspace.artifact(asked.artifact).path, asked.artifact)
    for layer in asked.layers:
        entry = IntegerState(content["state_dict"], workspace.spec).place(layer, "scale")
        content["state_dict"][entry] *= asked.value
        kept = entry.removesuffix(".scale") + ".activation_post_process"
        content["ranges"][kept]["scale"] *= asked.value
    plain = {part: content[part] for part in ("spec", "scheme", "ranges", "state_dict")}
    torch_file.save(path, asked.artifact, plain, content["provenance"])


def of_another_source(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
    """A PyTorch file that names another source, its weights some way off."""

    def misread(spec: Spec) -> Spec:
        weighted = [layer.name for layer in spec.layers if layer.weights]
        return spec_operators.noisy(spec, weighted, asked.value)

    return in_spec(misread, source=ANOTHER)(workspace, folder)


def dynamic_range(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
    """A LiteRT file with kernels in eight bits, and everything else computed in float."""
    return in_litert(_dynamic_range, asked.artifact, "litert-fp32")(workspace, folder)


def _dynamic_range(file: File) -> None:
    from ai_edge_litert import schema_py_generated as schema

    for tensor in file.kernels():
        real = file.array(tensor)
        scale = np.abs(real).max(axis=tuple(range(1, real.ndim))) / 127
        whole = np.rint(real / scale.reshape(-1, *[1] * (real.ndim - 1)))
        tensor.type = schema.TensorType.INT8
        tensor.quantization = schema.QuantizationParametersT()
        file.put(tensor, whole.astype(np.int8), scale)


def litert_of_scaled(workspace: Workspace, path: Path, _: Asked) -> None:
    """Calibrated on pixels from 0 to 1, as if the model scaled them itself."""
    from conversion.quantization.calibration import load as images_of

    images = path.with_name("scaled.npy")
    drawn = images_of(workspace.artifact("calibration").path).images
    np.save(images, calibration_operators.scaled(drawn))
    path.write_bytes(workspace.keras.to_litert(images)[0])


def prepared(workspace: Workspace) -> Graph:
    """The float graph that int8 files are made from, to be changed."""
    return Graph(load(workspace.artifact("onnx-prepared").path), workspace.spec)


OPERATORS: Mapping[str, OfWorkspace] = {
    "file:copied": written(copied),
    "file:of-floats": written(float_file),
    "file:activation-missing": of_floats_without_activation,
    "file:of-another-source": of_another_source,
    "file:of-scheme": written(of_scheme),
    "file:weights-alone": written(stored_only),
    "file:dynamic": written(dynamic),
    "file:only": only,
    "file:steps-finer": finer_steps,
    "file:of-noisy-floats": written(of_noisy_floats),
    "file:of-other-ranges": written(of_other_ranges),
    "file:scale-and-range-times": written(scale_and_range_times),
    "file:litert-dynamic": dynamic_range,
    "file:litert-of-scaled-pixels": written(litert_of_scaled),
}
"""Name to a way of making a file that is not what it says."""
