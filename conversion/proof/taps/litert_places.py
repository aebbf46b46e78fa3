"""Which operators TensorFlow's converter leaves in float, for choices that name layers.

It is told so by the names of tensors, which it makes up as it converts: so the file is made up to
its ranges, the spec is laid over it, and the very same file is quantized afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.backends.backend import Ingredients
from conversion.backends.litert_file import load
from conversion.core.errors import UserError
from conversion.proof.taps.alignment import align
from conversion.proof.taps.graph import Graph
from conversion.proof.taps.litert_operations import graph_of


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Save the calibrated file that is not quantized yet; an empty one where no layer is chosen.

    Returns:
        The provenance, with the names of the tensors that the chosen layers compute, by layer, and
        of those between them.

    Raises:
        UserError: the converter gave one of them a name that another tensor has too.
    """
    chosen = ingredients.settings.litert.float_layers
    route = {"source": ingredients.spec.digest, "route": "aligned by topology"}
    if not chosen:
        target.write_bytes(b"")
        return {**route, "nodes": {}, "between": [], "warnings": []}
    images = ingredients.artifacts["calibration"].path
    content, warnings = ingredients.keras.to_litert(images, quantized=False)
    target.write_bytes(content)
    graph = graph_of(load(target), ingredients.spec)
    places = align(ingredients.spec, graph).places
    steps = {name: [o.node for o in places[name].operations if not o.moves] for name in chosen}
    count = Counter(operation.node for operation in graph.operations)
    for name, given in steps.items():
        if any(count[node] > 1 for node in given):
            raise UserError(
                f"TensorFlow's converter gave the tensor of '{name}' the name of another one, so "
                "LiteRT's int8 cannot leave that layer alone in float: leave it out of "
                "--float-layers, or make --backends onnx-int8,torch-int8."
            )
    nodes = {name: found for name, found in steps.items() if found}
    return {**route, "nodes": nodes, "between": _between(graph, nodes), "warnings": warnings}


def _between(graph: Graph, nodes: Mapping[str, list[str]]) -> list[str]:
    """What only moves elements from one operator in float to others, and needs no cast."""
    left = {node for found in nodes.values() for node in found}
    readers, writer = graph.readers(), graph.writer()

    def in_float(tensor: str) -> bool:
        behind = readers.get(tensor, ())
        return all(o.node in left or (o.moves and in_float(o.writes)) for o in behind)

    found: list[str] = []
    for operation in graph.operations:
        before = writer.get(operation.reads[0]) if operation.moves and operation.reads else None
        from_float = before is not None and before.node in {*left, *found}
        if from_float and readers.get(operation.writes) and in_float(operation.writes):
            found.append(operation.node)
    return found
