"""Keras to PyTorch through ONNX and onnx2torch: the fallback, and a second opinion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx2torch
import torch
from google.protobuf.message import DecodeError
from torch import nn

from conversion.backends import torch_file
from conversion.backends.backend import Ingredients
from conversion.backends.torch_file import TorchRunner, load, save
from conversion.core.artifact import Artifact, Runner
from conversion.core.errors import UserError

KIND = "torch-via-onnx-fp32"


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Convert the ONNX file, and save the graph that the module is rebuilt from.

    onnx2torch gives a module whose class exists only in memory, so the file carries the ONNX
    graph as bytes in a tensor and is converted again when it is opened.

    Raises:
        UserError: onnx2torch cannot convert the graph.
    """
    source = ingredients.artifacts["onnx-fp32"]
    graph = source.path.read_bytes()
    rebuild(graph)
    provenance = {
        "source": ingredients.spec.digest,
        "route": "onnx2torch on onnx-fp32",
        "onnx": source.digest,
        "opset": source.provenance.get("opset"),
        "versions": ingredients.versions,
    }
    content = {"graph": torch.from_numpy(np.frombuffer(graph, dtype=np.uint8).copy())}
    save(target, KIND, content, provenance)
    return provenance


def stated_source(path: Path) -> str | None:
    """The digest of the source file that the artifact itself states."""
    return torch_file.stated_source(path, KIND)


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Rebuild the module from the graph in the file."""
    spec = ingredients.spec
    return TorchRunner(rebuild(graph_in(artifact.path)), spec.inputs, spec.outputs, threads)


def graph_in(path: Path) -> bytes:
    """The ONNX graph that a `torch-via-onnx-fp32` file carries."""
    content: bytes = load(path, KIND)["graph"].numpy().tobytes()
    return content


def rebuild(graph: bytes) -> nn.Module:
    """The module that onnx2torch makes of an ONNX graph.

    Raises:
        UserError: onnx2torch cannot convert it.
    """
    try:
        module: nn.Module = onnx2torch.convert(onnx.load_from_string(graph))
        return module.eval()
    except (RuntimeError, ValueError, KeyError, DecodeError) as error:
        sentence = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"Expected a graph that onnx2torch can convert; it says {sentence}. The direct route "
            "(torch-fp32) may do."
        ) from None
