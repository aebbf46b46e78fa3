"""What lies downstream of a place, to tell apart branches that begin alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from conversion.core.spec import Layer, Spec
from conversion.proof.taps.graph import ANCHORS, Graph, Operation
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.stages import first_kinds


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
            if _one_of_a_row(first_kinds(layer), [first_kinds(n) for n in after[layer.name]]):
                self._marks[layer.name] = ()
        self._tensors: dict[str, frozenset[str]] = {}
        self._kinds = {o.writes: _operation_mark(o) for o in graph.operations}
        self._after, self._readers = after, graph.readers()
        readers, reached = self._readers, dict[str, list[tuple[str, ...]]]()
        for operation in reversed(graph.operations):
            below = set()
            for each in readers.get(operation.writes, []):
                below |= {each.writes, *self._tensors.get(each.writes, ())}
            self._tensors[operation.writes] = frozenset(below)
            kinds: list[tuple[str, ...]] = []
            for each in readers.get(operation.writes, []):
                kinds += reached.get(each.writes, []) if each.moves else [(each.kind,)]
            reached[operation.writes] = kinds
            if _one_of_a_row((operation.kind,), kinds):
                self._kinds[operation.writes] = ()

    def score(self, layer: Layer, tensor: str) -> float:
        """How alike what follows the layer and what follows the tensor are, 0 to 1."""
        ours = Counter(self._marks[name] for name in self._layers[layer.name] if self._marks[name])
        theirs = Counter(
            self._kinds[name] for name in self._tensors.get(tensor, ()) if self._kinds[name]
        )
        union = sum((ours | theirs).values())
        return sum((ours & theirs).values()) / union if union else 1.0

    def same_side(self, layer: Layer, tensor: str) -> bool:
        """Whether both come to the next merge from the same side, where it tells its sides apart.

        Two branches that begin and go on alike may differ in nothing else.
        """
        side = self._side_of_layer(layer)
        return side is None or side == self._side_of_tensor(tensor)

    def _side_of_layer(self, layer: Layer) -> int | None:
        name = layer.name
        while len(self._after[name]) == 1:
            (follower,) = self._after[name]
            if len(set(follower.inputs)) > 1:
                return follower.inputs.index(name) if follower.kind in SIDED else None
            name = follower.name
        return None

    def _side_of_tensor(self, tensor: str) -> int | None:
        while len(self._readers.get(tensor, [])) == 1:
            (operation,) = self._readers[tensor]
            if len(set(operation.reads)) > 1:
                return operation.reads.index(tensor)
            tensor = operation.writes
        return None


SIDED = ("Subtract", "Concatenate", "Dot")
"""Merges of which every input has a meaning of its own."""


def _one_of_a_row(kinds: Sequence[str], after: Sequence[Sequence[str]]) -> bool:
    """Whether the same merge follows alone: one of three may be two of two."""
    return len(after) == 1 and kinds[:1] == after[0][:1] and kinds[:1] in ROWS


ROWS = (("sum",), ("product",), ("maximum",), ("minimum",))


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
