"""Full-integer int8 for LiteRT, calibrated on the same images as the other int8 artifacts.

TensorFlow's converter records the ranges itself, image by image, and quantizes in the same call, so
there is no artifact of ranges: the scales in the file are all that is left of them. What int8 costs
is measured against ONNX Runtime's float32 and not against LiteRT's: whoever weighs this file has
the usual runtime to compare it with, and a ratio to anything else would not say whether to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.backends.backend import Ingredients
from conversion.backends.litert_file import save, stated_source
from conversion.backends.litert_runner import LitertRunner
from conversion.core.artifact import Artifact, Runner
from conversion.quantization.coverage import without_effect

__all__ = ["build", "open", "stated_source"]


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Convert and quantize the Keras model in TensorFlow's process.

    Returns:
        The provenance: source, route, calibration, versions, warnings, census.
    """
    images, places = ingredients.artifacts["calibration"], ingredients.artifacts["litert-places"]
    known, activations = places.provenance["nodes"], places.provenance["activations"]
    route = "tf.lite.TFLiteConverter, int8 activations, int8 weights per channel, int8 ends"
    nodes = [node for found in (*known.values(), *activations.values()) for node in found]
    warnings = without_effect(ingredients.settings.litert.float_layers, known)
    if nodes:
        nodes += places.provenance["between"]
        content = ingredients.keras.quantize_litert(places.path.read_bytes(), nodes)
    else:
        content, said = ingredients.keras.to_litert(images.path)
        warnings += said
    if known:
        route = f"{route}; {', '.join(known)} in float"
    if activations:
        route = f"{route}; the activations of {', '.join(activations)} in float"
    provenance = {
        "source": ingredients.spec.digest,
        "route": route,
        "calibration": images.provenance["content"],
        "versions": {**ingredients.versions, **ingredients.keras.versions()},
    }
    return {**provenance, **save(content, target, provenance), "warnings": warnings}


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Open the file in LiteRT on the CPU with its default delegate."""
    spec = ingredients.spec
    return LitertRunner(artifact.path, spec.inputs, spec.outputs, threads)
