"""Keras to ONNX: tf2onnx up to opset 18, `onnx.version_converter` from there to 26."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import version_converter

from conversion.backends.backend import Ingredients
from conversion.backends.external_ports import refuse_halves
from conversion.backends.onnx_file import (
    OnnxRunner,
    census,
    contents,
    load,
    save,
    stated_source,
)
from conversion.backends.onnx_rewrites import rewrite
from conversion.core.artifact import Artifact, Runner
from conversion.reference.repairs import repairs

__all__ = ["build", "open", "stated_source"]

TF2ONNX_OPSET = 18
"""The highest opset that tf2onnx 1.17 writes."""


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Convert, check and save.

    Args:
        ingredients: reads the Keras model and the opset.
        target: where the file goes.

    Returns:
        The provenance: route, opset, versions, warnings, census.
    """
    spec, wanted = ingredients.spec, ingredients.settings.opset
    content, warnings = ingredients.keras.to_onnx(min(wanted, TF2ONNX_OPSET))
    model = onnx.load_from_string(content)
    route = f"tf2onnx at opset {min(wanted, TF2ONNX_OPSET)}"
    grouped = any(each.config.get("groups", 1) != 1 for each in spec.layers)
    if rewritten := rewrite(model, grouped):
        route += f"; {'; '.join(rewritten)}"
    if wanted > TF2ONNX_OPSET:
        model = version_converter.convert_version(model, wanted)
        route += f", then onnx.version_converter to {wanted}"
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for name, value in zip(spec.outputs, model.graph.output, strict=False):
        sizes = value.type.tensor_type.shape.dim[1:]
        for dim, size in zip(sizes, spec.layer(name).shape, strict=False):
            if size is not None and not dim.HasField("dim_value"):  # tf2onnx lost it on the way
                dim.dim_value = size
    provenance = {
        "source": spec.digest,
        "route": route,
        "opset": wanted,
        "repairs": repairs(ingredients.keras.path, ingredients.spec.keras_version),
        "versions": {**ingredients.versions, **ingredients.keras.versions()},
    }
    save(model, target, provenance)
    return {
        **provenance,
        "warnings": warnings,
        **contents(model),
    }


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Open the file in ONNX Runtime on the CPU, fully optimised.

    Raises:
        UserError: an external file stores its weights in float16.
    """
    spec = ingredients.spec
    if artifact.external:
        halves = census(load(artifact.path))["initializer_dtypes"].get("FLOAT16", 0)
        refuse_halves(artifact, halves)
    return OnnxRunner(artifact, spec.inputs, spec.outputs, threads)
