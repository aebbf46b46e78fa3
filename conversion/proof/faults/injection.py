"""Ways to put a fault into a copy: a graph, a state, a spec, a calibration set, test images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto

from conversion.backends import torch_file
from conversion.backends.torch_module import describe, from_spec
from conversion.core import digest
from conversion.core.artifact import Artifact, Store
from conversion.core.spec import Spec
from conversion.proof.faults.fault import Inject
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

State = dict[str, Any]

RELATIVE = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Sizes of what is off by a share of itself."""


def exchanged(workspace: Workspace, name: str, path: Path) -> Artifact:
    """A file in the place of a good artifact, with the good one's provenance, as if it were it."""
    return Artifact(name, path, digest.of_file(path), workspace.artifact(name).provenance)


def in_onnx(change: Callable[[ModelProto], ModelProto | None], name: str = "onnx-fp32") -> Inject:
    """A fault in the graph of an ONNX file, or in the graph that `torch-via-onnx-fp32` carries.

    Args:
        change: changes the graph that it is given, or returns another one.
        name: the artifact.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        if name == "torch-via-onnx-fp32":
            content = torch_file.load(workspace.artifact(name).path, name)
            model = onnx.load_from_string(content["graph"].numpy().tobytes())
            graph = (change(model) or model).SerializeToString()
            content["graph"] = torch.from_numpy(np.frombuffer(graph, np.uint8).copy())
            return _torch(workspace, folder, name, content)
        model = onnx.load(workspace.artifact(name).path)
        path = folder / f"{name}.onnx"
        onnx.save(change(model) or model, path)
        return workspace.injected(_store(folder), {name: exchanged(workspace, name, path)})

    return inject


def in_spec(change: Callable[[Spec], Spec], **stated: Any) -> Inject:
    """A fault of the direct route: `torch-fp32` made from a spec that was misread.

    Args:
        change: returns another spec; its layers may have other settings, weights and inputs.
        stated: what the file's own provenance says otherwise than the good one's.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        wrong = change(workspace.spec)
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


def in_calibration(change: Callable[[Dataset, Workspace], Dataset]) -> Inject:
    """A fault of the calibration set: ranges and int8 files are made from it in earnest.

    Args:
        change: returns other images in place of the drawn ones.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        from conversion.quantization import calibration

        wrong = change(calibration.load(workspace.artifact("calibration").path), workspace)
        notes = calibration.save(wrong, folder, workspace.settings.calibration)
        path = folder / calibration.FILE
        made = Artifact("calibration", path, digest.of_file(path), notes)
        return workspace.injected(_store(folder), {"calibration": made})

    return inject


def in_test(change: Callable[[Dataset], Dataset]) -> Inject:
    """A fault of the labelled images that accuracy is counted on."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        subject = replace(workspace.subject, test=change(workspace.test))
        return workspace.injected(_store(folder), subject=subject)

    return inject


def rebuilt(spec: Spec, name: str, **changes: Any) -> Spec:
    """The spec with one layer changed.

    Args:
        spec: the spec.
        name: the layer.
        changes: fields of `Layer`; ``config`` and ``weights`` are merged into what is there.
    """

    def changed(layer: Any) -> Any:
        if layer.name != name:
            return layer
        merged = {
            key: {**getattr(layer, key), **value} if key in ("config", "weights") else value
            for key, value in changes.items()
        }
        return replace(layer, **merged)

    return replace(spec, layers=tuple(changed(layer) for layer in spec.layers))


def _torch(
    workspace: Workspace,
    folder: Path,
    name: str,
    content: dict[str, Any],
    stated: Mapping[str, Any] | None = None,
) -> Workspace:
    good = workspace.artifact(name)
    path = folder / f"{name}.pt"
    plain = {key: value for key, value in content.items() if key not in _HEADER}
    torch_file.save(path, name, plain, {**good.provenance, **(stated or {})})
    return workspace.injected(_store(folder), {name: exchanged(workspace, name, path)})


def _store(folder: Path) -> Store:
    return Store(folder / "store")


_HEADER = ("conversion", "kind", "provenance")
__all__ = [
    "RELATIVE",
    "exchanged",
    "in_calibration",
    "in_onnx",
    "in_spec",
    "in_state",
    "in_test",
    "rebuilt",
]
