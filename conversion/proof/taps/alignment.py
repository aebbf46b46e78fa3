"""The aligned map: which tensor of a file is which Keras layer's output, found by topology alone.

The spec is walked from its inputs; every layer takes the operation of its kind that reads what the
layer reads. Names play no part: converters rename, renumber and reorder. Where the file is not the
same network the walk goes on and says what it missed, so that the values can show the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from conversion.core.spec import Layer, Spec
from conversion.proof.taps.graph import Graph, Operation
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.stages import UNSEEN, is_affine, last_factor
from conversion.proof.taps.walk import Found, Walk


@dataclass(frozen=True, eq=False)
class Place:
    """Where a layer is in a file.

    Attributes:
        layer: the layer's name.
        operations: what computes it, in order; empty where nothing does.
        tensors: the tensors that may hold its output, the best first; empty where a later layer of
            its group is the first to be seen.
        group: the layers that are computed together, in order; compared at the last one.
        note: what is odd about it, in words; empty where nothing is.
        factor: the constant of the layer before it that its first kernel holds.
    """

    layer: str
    operations: tuple[Operation, ...]
    tensors: tuple[str, ...]
    group: tuple[str, ...]
    note: str = ""
    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Alignment:
    """A spec laid over a graph.

    Attributes:
        places: layer name to its place, in the spec's order.
        extra: operations that belong to no layer.
    """

    places: Mapping[str, Place]
    extra: tuple[Operation, ...]

    def seen(self) -> dict[str, Place]:
        """The layers whose outputs can be read."""
        return {name: place for name, place in self.places.items() if place.tensors}


def align(spec: Spec, graph: Graph) -> Alignment:
    """Lay a spec over a graph.

    Args:
        spec: the model.
        graph: a file's network, which should be the same.

    Returns:
        A place for every layer; nothing is raised for a network that is another one.
    """
    walk = Walk(spec, graph)
    for layer in spec.layers:
        walk.take(layer)
    return _Placing(walk).result()


class _Placing:
    """From the operations of every layer to the tensors in which its output is to be seen."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk

    def result(self) -> Alignment:
        """The places, once every layer has been taken."""
        hidden = self._groups()
        places = {}
        for layer in self.walk.spec.layers:
            found = self.walk.found[layer.name]
            unseen = layer.name in hidden or layer.kind in UNSEEN
            tensors = () if unseen else self._tensors(layer, found)
            places[layer.name] = Place(
                layer.name,
                tuple(found.operations),
                tensors,
                self._group(layer, hidden),
                self._note(layer, found, hidden),
                self._factor(layer, hidden),
            )
        # A padding belongs to the layer that reads it.
        extra = (
            o
            for o in self.walk.graph.operations
            if not (o.moves or o.kind == "pad") and o.writes not in self.walk.owner
        )
        return Alignment(places, tuple(extra))

    def _groups(self) -> dict[str, str]:
        """Layers that cannot be seen by themselves, with the layer that they are folded into."""
        hidden: dict[str, str] = {}
        for layer in self.walk.spec.layers:
            found = self.walk.found[layer.name]
            if not layer.inputs or len(layer.inputs) > 1:
                continue
            before = self.walk.spec.layer(layer.inputs[0])
            alone = (
                len(self.walk.after[before.name]) == 1 and before.name not in self.walk.spec.outputs
            )
            folded = is_affine(layer) and found.fused and before.kind != "InputLayer"
            joined = found.fused and not found.operations and not found.missing
            padded = before.kind.startswith("ZeroPadding") and not self._is_found(before)
            if alone and (folded or joined or padded or self._folds_forward(before, layer)):
                hidden[before.name] = layer.name
            elif folded and not found.operations:
                found.missing, found.note = True, "no operation computes it"
        return hidden

    def _is_found(self, layer: Layer) -> bool:
        """Whether an operation computes the layer, or there is nothing to compute."""
        found = self.walk.found[layer.name]
        return bool(found.operations) or layer.shape == self.walk.spec.layer(layer.inputs[0]).shape

    def _folds_forward(self, before: Layer, layer: Layer) -> bool:
        """Whether a layer's kernel holds the constant that the layer before it ends with."""
        if not self.walk.graph.folds_forward or last_factor(before) == 1 or not kernels(layer):
            return False
        return all(o.kind != "scale" for o in self.walk.found[before.name].operations)

    def _factor(self, layer: Layer, hidden: Mapping[str, str]) -> float:
        before = self.walk.spec.layer(layer.inputs[0]) if len(layer.inputs) == 1 else None
        held = before is not None and hidden.get(before.name) == layer.name
        return last_factor(before) if before is not None and held and kernels(layer) else 1.0

    def _group(self, layer: Layer, hidden: Mapping[str, str]) -> tuple[str, ...]:
        last = layer.name
        while last in hidden:
            last = hidden[last]
        members = [last]
        backwards = {after: before for before, after in hidden.items()}
        while members[0] in backwards:
            members.insert(0, backwards[members[0]])
        return tuple(members)

    def _note(self, layer: Layer, found: Found, hidden: Mapping[str, str]) -> str:
        if layer.name in hidden:
            return f"folded or fused into {hidden[layer.name]}"
        passed = [o for o in self._intruders(layer, found) if o.writes not in self.walk.owner]
        odd = f"followed by an operation of no layer ({passed[0].kind})" if passed else ""
        return "; ".join(filter(None, (found.note, odd)))

    def _intruders(self, layer: Layer, found: Found) -> list[Operation]:
        return [o for way in self._ways(layer, found) for o in way if not o.moves]

    def _tensors(self, layer: Layer, found: Found) -> tuple[str, ...]:
        """What all readers of a layer read, else what the layer's last operation gives."""
        if not found.value:
            return ()
        ways = self._ways(layer, found)
        best = _common(ways)
        chain = [found.value, *(operation.writes for operation in best)]
        seen = [name for name in reversed(chain) if name in self.walk.graph.tensors]
        return tuple(dict.fromkeys(seen))

    def _ways(self, layer: Layer, found: Found) -> list[list[Operation]]:
        """What is passed between a layer's value and each of its readers."""
        ways = []
        for follower in self.walk.after[layer.name]:
            way = self._way(found.value, follower)
            if way is not None:
                ways.append(way)
        for index, name in enumerate(self.walk.spec.outputs):
            if name == layer.name and index < len(self.walk.graph.outputs):
                end = self._way_to_end(found.value, self.walk.graph.outputs[index])
                ways += [end] if end is not None else []
        return ways

    def _way(self, source: str, follower: Layer) -> list[Operation] | None:
        operations = self.walk.found[follower.name].operations
        moved = self.walk.found[follower.name].value
        if not operations:  # it computes nothing: what moves elements belongs to it
            further = [self._way(source, each) for each in self.walk.after[follower.name]]
            known = [way for way in further if way is not None]
            way = _common(known) if known and moved else []
            own = _OWN.get(follower.kind, ())
            cut = next((i for i, o in enumerate(way) if o.kind in own), len(way))
            return way[:cut] if known else None
        for path in self.walk.paths(source, intruders=True):
            if path[-1] is operations[0]:
                return _without_pad(path[:-1])
        return None

    def _way_to_end(self, source: str, end: str) -> list[Operation] | None:
        if source == end:
            return []
        passed: list[Operation] = []
        operation = self.walk.writer.get(end)
        while operation is not None and (operation.moves or self.walk.may_pass(operation)):
            passed.insert(0, operation)
            if operation.reads and operation.reads[0] == source:
                return passed
            operation = self.walk.writer.get(operation.reads[0]) if operation.reads else None
        return None


_OWN = {
    "Reshape": ("reshape",),
    "Flatten": ("reshape",),
    "Permute": ("reshape", "transpose"),
}
"""Layers that only move elements to the kinds of moves that are theirs, not the layer's before."""


def _without_pad(way: list[Operation]) -> list[Operation]:
    """Up to a padding right before the layer that it belongs to, and to a cast back to float."""
    last = max((i for i, o in enumerate(way) if not o.moves), default=-1)
    kept = way[:last] if last >= 0 and way[last].kind == "pad" else list(way)
    while kept and kept[-1].kind == "dequantize":
        kept = kept[:-1]
    return kept


def _common(ways: list[list[Operation]]) -> list[Operation]:
    """What all ways pass first."""
    if not ways:
        return []
    shared = []
    for steps in zip(*ways, strict=False):  # up to the end of the shortest
        if any(step is not steps[0] for step in steps):
            break
        shared.append(steps[0])
    return _without_pad(shared)
