"""LiteRT float32: the model as TensorFlow's converter writes it, run with the default delegate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.backends.backend import Ingredients
from conversion.backends.external_ports import refuse_halves
from conversion.backends.litert_file import TYPES, load, save, stated_source
from conversion.backends.litert_runner import LitertRunner
from conversion.core.artifact import Artifact, Runner

__all__ = ["build", "open", "stated_source"]


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Convert the Keras model in TensorFlow's process.

    Returns:
        The provenance: source, route, versions, warnings, census.
    """
    content, warnings = ingredients.keras.to_litert()
    provenance = {
        "source": ingredients.spec.digest,
        "route": "tf.lite.TFLiteConverter.from_keras_model",
        "versions": {**ingredients.versions, **ingredients.keras.versions()},
    }
    return {**provenance, **save(content, target, provenance), "warnings": warnings}


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Open the file in LiteRT on the CPU with its default delegate.

    Raises:
        UserError: an external file stores its weights in float16.
    """
    spec = ingredients.spec
    if artifact.external:
        tensors = load(artifact.path).subgraphs[0].tensors
        halves = sum(TYPES[each.type] == "FLOAT16" for each in tensors)
        refuse_halves(artifact, halves)
    return LitertRunner(artifact.path, spec.inputs, spec.outputs, threads)
