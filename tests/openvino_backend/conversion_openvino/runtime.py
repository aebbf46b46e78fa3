"""The ONNX file as OpenVINO's pair of a description and its weights, and how that is run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conversion.backends.backend import Ingredients
from conversion.core.artifact import Artifact, Runner

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # then none is sent
import openvino  # noqa: E402

SOURCE = "conversion_source"


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Read the ONNX file with OpenVINO and save it in full precision.

    Args:
        ingredients: reads the ONNX file.
        target: where the ``.xml`` goes; the ``.bin`` lies beside it.

    Returns:
        The provenance: source, route, versions.
    """
    model = openvino.Core().read_model(ingredients.artifacts["onnx-fp32"].path)
    model.set_rt_info(ingredients.spec.digest, [SOURCE])
    openvino.save_model(model, target, compress_to_fp16=False)
    return {
        "source": ingredients.spec.digest,
        "route": "openvino.Core.read_model of the ONNX file",
        "versions": ingredients.versions,
    }


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Compile for the CPU; without the hint, one with matrix units computes in bfloat16."""
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(artifact.path, "CPU", options)
    return _Runner(compiled, ingredients.spec.inputs, ingredients.spec.outputs)


def stated_source(path: Path) -> str | None:
    """The digest of the source file that the description holds."""
    model = openvino.Core().read_model(path)
    return str(model.get_rt_info(SOURCE).value) if model.has_rt_info(SOURCE) else None


class _Runner:
    def __init__(self, compiled: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        self._compiled, self._inputs, self._outputs = compiled, inputs, outputs

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The file's own outputs, in the source's layout."""
        feed = [np.ascontiguousarray(inputs[name], np.float32) for name in self._inputs]
        found = self._compiled(feed)
        return {name: np.array(found[i]) for i, name in enumerate(self._outputs)}
