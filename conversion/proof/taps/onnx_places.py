"""Which nodes of the prepared ONNX graph compute which layer, for choices that name layers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.backends.backend import Ingredients
from conversion.backends.onnx_file import load
from conversion.core.errors import NoTruth
from conversion.proof.taps.opened import PROBES, align, open_onnx
from conversion.proof.taps.owners import Owners
from conversion.quantization.calibration import batches


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Find the layers in the graph and save, for every one that computes, the names of its nodes.

    Returns:
        The provenance.
    """
    spec, prepared = ingredients.spec, ingredients.artifacts["onnx-prepared"]
    images = next(batches(ingredients.artifacts["calibration"].path))[:PROBES]
    probes = dict.fromkeys(spec.inputs, images)
    file = open_onnx(prepared, spec, 1, probes)
    try:
        steps = Owners(spec, file.network, align(spec, file, probes).matches).steps()
    except NoTruth:  # of a layer of the user's own nobody knows where it is
        steps = {}
    names = {name: node.name for node in load(prepared.path).graph.node for name in node.output}
    nodes = {layer: [names[each] for each in found] for layer, found in steps.items() if found}
    target.write_text(json.dumps(nodes))
    return {
        "source": spec.digest,
        "route": "aligned by values",
        "onnx": prepared.digest,
    }
