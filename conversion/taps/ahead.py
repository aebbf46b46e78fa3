"""What lies downstream of a place, to tell apart branches that begin alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from conversion.spec import Layer, Spec
from conversion.taps.graph import ANCHORS, Graph, Operation
from conversion.taps.kernels import kernels
from conversion.taps.stages import first_kinds


def following(spec: Spec) -> dict[str, list[Layer]]:
    """Layer name to the layers that read it."""
    after: dict[str, list[Layer]] = {layer.name: [] for layer in spec.layers}
    for layer in spec.layers:
        for name in dict.fromkeys(layer.inputs):
            after[name].append(layer)
    return after


class Ahead:
    """How alike what follows a layer and what follows a tensor are."""

    def __init__(self, spec: Spec, graph: Graph, after: Mapping[str, list[Layer]]) -> None:
        """Look ahead from everywhere.

        Args:
            spec: the model.
            graph: a file's network.
            after: layer name to the layers that read it.
        """
        self._layers: dict[str, frozenset[str]] = {}
        self._marks: dict[str, tuple[str, ...]] = {}
        for layer in reversed(spec.layers):
            below = {n for each in after[layer.name] for n in (each.name, *self._layers[each.name])}
            self._layers[layer.name] = frozenset(below)
            self._marks[layer.name] = _layer_mark(layer)
        self._tensors: dict[str, frozenset[str]] = {}
        self._kinds = {o.writes: _operation_mark(o) for o in graph.operations}
        readers = graph.readers()
        for operation in reversed(graph.operations):
            below = set()
            for each in readers.get(operation.writes, []):
                below |= {each.writes, *self._tensors.get(each.writes, ())}
            self._tensors[operation.writes] = frozenset(below)

    def score(self, layer: Layer, tensor: str) -> float:
        """How alike what follows the layer and what follows the tensor are, 0 to 1."""
        ours = Counter(self._marks[name] for name in self._layers[layer.name] if self._marks[name])
        theirs = Counter(
            self._kinds[name] for name in self._tensors.get(tensor, ()) if self._kinds[name]
        )
        union = sum((ours | theirs).values())
        return sum((ours & theirs).values()) / union if union else 1.0


def _layer_mark(layer: Layer) -> tuple[str, ...]:
    found = kernels(layer)
    if found:
        return ("kernel", *map(str, found[-1].shape))
    first = first_kinds(layer)
    return (first[0],) if first and first[0] in ANCHORS else ()


def _operation_mark(operation: Operation) -> tuple[str, ...]:
    kernel = operation.constants.get("kernel")
    if kernel is not None:
        return ("kernel", *map(str, kernel.shape))
    return (operation.kind,) if operation.kind in ANCHORS else ()
