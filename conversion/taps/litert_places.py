"""Which operators TensorFlow's converter leaves in float, for choices that name layers.

It is told so by the names of tensors, which it makes up as it converts: so the file is made up to
its ranges, the spec is laid over it, and the very same file is quantized afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.backends import Ingredients
from conversion.backends.litert_file import load
from conversion.errors import UserError
from conversion.taps.alignment import align
from conversion.taps.litert_operations import graph_of


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Save the calibrated file that is not quantized yet; an empty one where no layer is chosen.

    Returns:
        The provenance, with the names of the tensors that the chosen layers compute, by layer.

    Raises:
        UserError: the converter gave one of them a name that another tensor has too.
    """
    chosen = ingredients.settings.litert.float_layers
    route = {"source": ingredients.spec.digest, "route": "aligned by topology"}
    if not chosen:
        target.write_bytes(b"")
        return {**route, "nodes": {}, "warnings": []}
    images = ingredients.artifacts["calibration"].path
    content, warnings = ingredients.keras.to_litert(images, quantized=False)
    target.write_bytes(content)
    graph = graph_of(load(target), ingredients.spec)
    places = align(ingredients.spec, graph).places
    steps = {name: [o.node for o in places[name].operations if not o.moves] for name in chosen}
    count = Counter(operation.node for operation in graph.operations)
    for name, nodes in steps.items():
        if any(count[node] > 1 for node in nodes):
            raise UserError(
                f"TensorFlow's converter gave the tensor of '{name}' the name of another one, so "
                "LiteRT's int8 cannot leave that layer alone in float: leave it out of "
                "--float-layers, or make --backends onnx-int8,torch-int8."
            )
    computing = {name: found for name, found in steps.items() if found}
    return {**route, "nodes": computing, "warnings": warnings}
