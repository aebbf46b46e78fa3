"""Ways to put a fault into a copy: a graph, a state, a spec, a file, a calibration set, images."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto

from conversion.backends import torch_file
from conversion.backends.onnx_file import load
from conversion.backends.torch_module import describe, from_spec
from conversion.core import digest
from conversion.core.artifact import Artifact, Store
from conversion.core.spec import Layer, Spec
from conversion.proof.faults.fault import Inject, NotInjectable
from conversion.proof.faults.onnx_graph import Graph
from conversion.proof.faults.places import tensors
from conversion.proof.faults.stored_weights import rewritten
from conversion.proof.taps import opened
from conversion.proof.taps.by_values import EIGHT_BITS, ROUNDED
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

State = dict[str, Any]
OfDataset = Callable[[Dataset, Workspace], Dataset]


def of_dataset(dataset: Dataset, images: Callable[[np.ndarray], np.ndarray]) -> Dataset:
    """The data set with other pixels."""
    return replace(dataset, images=images(dataset.images))


def put(workspace: Workspace, folder: Path, name: str, path: Path) -> Workspace:
    """A file in the place of a good artifact, with the good one's provenance, as if it were it."""
    made = Artifact(name, path, digest.of_file(path), workspace.artifact(name).provenance)
    return workspace.injected(Store(folder / "store"), {name: made})


def in_onnx(change: Callable[[Graph], ModelProto | None], name: str) -> Inject:
    """A fault in the graph of an ONNX file, or in the graph that `torch-via-onnx-fp32` carries.

    Args:
        change: changes the graph that it is given, or returns another file.
        name: the artifact.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        good, content = workspace.artifact(name), dict[str, Any]()
        if name == "torch-via-onnx-fp32":
            content = torch_file.load(good.path, name)
            model = onnx.load_from_string(content["graph"].numpy().tobytes())
        else:
            model = load(good.path)
        clean = ModelProto()
        clean.CopyFrom(model)
        graph = Graph(model, workspace.spec, partial(_of_onnx, workspace, name, clean))
        made = change(graph) or model
        if content:
            packed = np.frombuffer(made.SerializeToString(), np.uint8).copy()
            return _torch(workspace, folder, name, {**content, "graph": torch.from_numpy(packed)})
        path = folder / f"{name}.onnx"
        onnx.save(made, path)
        return put(workspace, folder, name, path)

    return inject


def in_weights_of_onnx(change: Callable[[Spec], Spec], name: str) -> Inject:
    """A fault of the converter: an ONNX file with the weights of a spec that was misread."""

    def write(graph: Graph) -> None:
        for key, array in rewritten(graph.spec, change(graph.spec), graph.constants()):
            graph.store(key, array)

    return in_onnx(write, name)


def in_litert(change: Callable[[Any], None], name: str, source: str) -> Inject:
    """A fault in a LiteRT file.

    Args:
        change: changes the `File` that it is given.
        name: the artifact.
        source: the artifact whose file is changed.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        from conversion.backends import litert_file
        from conversion.proof.faults.litert_operators import File

        good = workspace.artifact(source)
        model = litert_file.load(good.path)
        places = partial(_of_litert, workspace, source, good)
        change(File(model, workspace.spec, places))
        path = folder / f"{name}.tflite"
        path.write_bytes(litert_file.packed(model))
        return put(workspace, folder, name, path)

    return inject


def in_weights_of_litert(change: Callable[[Spec], Spec], name: str) -> Inject:
    """A fault of the converter: a LiteRT file with the weights of a spec that was misread."""

    def write(file: Any) -> None:
        for key, array in rewritten(file.spec, change(file.spec), file.constants()):
            file.store(key, array)

    return in_litert(write, name, name)


def in_spec(change: Callable[[Spec], Spec], **stated: Any) -> Inject:
    """A fault of the direct route: `torch-fp32` made from a spec that was misread.

    Args:
        change: returns another spec; its layers may have other settings, weights and inputs.
        stated: what the file's own provenance says otherwise than the good one's.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        spec = workspace.spec
        wrong = change(spec)
        if describe(wrong) == describe(spec) and all(map(_alike, spec.layers, wrong.layers)):
            raise NotInjectable("nothing changes")
        content = {"spec": describe(wrong), "state_dict": from_spec(wrong).state_dict()}
        return _torch(workspace, folder, "torch-fp32", content, stated)

    return inject


def in_state(change: Callable[[State], None], name: str = "torch-fp32") -> Inject:
    """A fault in the tensors of a PyTorch file.

    Args:
        change: changes the file's ``state_dict`` in place.
        name: ``torch-fp32`` or ``torch-int8``.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        content = torch_file.load(workspace.artifact(name).path, name)
        change(content["state_dict"])
        return _torch(workspace, folder, name, content)

    return inject


def in_calibration(change: OfDataset) -> Inject:
    """A fault of the calibration set: ranges and int8 files are made from it in earnest."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        from conversion.quantization import calibration

        wrong = change(calibration.load(workspace.artifact("calibration").path), workspace)
        notes = calibration.save(wrong, folder, workspace.settings.calibration)
        path = folder / calibration.FILE
        made = Artifact("calibration", path, digest.of_file(path), notes)
        return workspace.injected(Store(folder / "store"), {"calibration": made})

    return inject


def in_ranges(change: Callable[[Any], Any], name: str) -> Inject:
    """A fault in recorded ranges; the int8 files are made from them in earnest.

    Args:
        change: changes the file's content in place, and returns what the provenance says of it.
        name: ``onnx-ranges`` or ``torch-ranges``.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        good = workspace.artifact(name)
        content = json.loads(good.path.read_text())
        ranges = change(content)
        path = folder / good.path.name
        path.write_text(json.dumps(content))
        other = Artifact(name, path, digest.of_file(path), {"ranges": ranges})
        return put_ranges(workspace, folder, name, other)

    return inject


def put_ranges(workspace: Workspace, folder: Path, name: str, other: Artifact) -> Workspace:
    """Other recorded ranges in the place of the good ones, with the good ones' provenance."""
    ranges = other.provenance["ranges"]
    provenance = {**workspace.artifact(name).provenance, "ranges": ranges}
    made = Artifact(name, other.path, digest.of_file(other.path), provenance)
    return workspace.injected(Store(folder / "store"), {name: made})


def in_test(change: OfDataset) -> Inject:
    """A fault of the labelled images that accuracy is counted on."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        subject = replace(workspace.subject, test=change(workspace.test, workspace))
        return workspace.injected(Store(folder / "store"), subject=subject)

    return inject


def _alike(one: Layer, other: Layer) -> bool:
    pairs = ((array, other.weights[role]) for role, array in one.weights.items())
    return all(np.array_equal(*pair) for pair in pairs)


def _torch(
    workspace: Workspace,
    folder: Path,
    name: str,
    content: dict[str, Any],
    stated: Mapping[str, Any] | None = None,
) -> Workspace:
    good = workspace.artifact(name)
    path = folder / f"{name}.pt"
    header = ("conversion", "kind", "provenance")
    plain = {key: value for key, value in content.items() if key not in header}
    torch_file.save(path, name, plain, {**good.provenance, **(stated or {})})
    return put(workspace, folder, name, path)


def _of_onnx(workspace: Workspace, name: str, model: ModelProto) -> dict[str, str]:
    def exposed() -> opened.Exposed:
        from conversion.proof.taps.onnx_tensors import network_of, runner

        network = network_of(model)
        run = runner(model, network, workspace.spec, name, 1, optimised=False)
        return opened.Exposed(network, run, run)

    rounded = EIGHT_BITS if name.endswith("int8") else ROUNDED
    return tensors(workspace, workspace.artifact(name).digest, exposed, rounded)


def _of_litert(workspace: Workspace, name: str, good: Artifact) -> dict[str, str]:
    rounded = EIGHT_BITS if name.endswith("int8") else ROUNDED
    return tensors(
        workspace, good.digest, lambda: opened.open_litert(good, workspace.spec, 1, {}), rounded
    )
