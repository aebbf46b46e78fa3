"""Which nodes of the prepared ONNX graph compute which layer, for choices that name layers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.backends.backend import Ingredients
from conversion.backends.onnx_file import load
from conversion.proof.taps.alignment import align
from conversion.proof.taps.onnx_operations import graph_of


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Lay the spec over the graph and save, for every layer that computes, the names of its nodes.

    Returns:
        The provenance.
    """
    prepared = ingredients.artifacts["onnx-prepared"]
    places = align(ingredients.spec, graph_of(load(prepared.path))).places
    nodes = {name: [each.node for each in place.operations] for name, place in places.items()}
    target.write_text(json.dumps({name: found for name, found in nodes.items() if found}))
    return {
        "source": ingredients.spec.digest,
        "route": "aligned by topology",
        "onnx": prepared.digest,
    }
