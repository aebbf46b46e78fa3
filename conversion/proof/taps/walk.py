"""The walk through a network beside the spec: every layer takes the operations that compute it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.taps.ahead import Ahead, following
from conversion.proof.taps.graph import ANCHORS, Graph, Operation
from conversion.proof.taps.kernels import kernels, likeness_of
from conversion.proof.taps.spread import spread
from conversion.proof.taps.stages import (
    AFFINE,
    MERGES,
    Stage,
    affine_kinds,
    first_kinds,
    is_affine,
    stages,
)

REACH = 12
"""Operations of no layer that may stand between a layer and what reads it; moves do not count."""


@dataclass(eq=False)
class Found:
    """What the walk has found of one layer."""

    operations: list[Operation] = field(default_factory=list)
    value: str = ""
    missing: bool = False
    fused: bool = False
    note: str = ""


class Walk:
    """A spec and a graph side by side, and what has been found so far."""

    def __init__(self, spec: Spec, graph: Graph) -> None:
        """Start at the inputs.

        Args:
            spec: the model.
            graph: a file's network, which should be the same.
        """
        self.spec, self.graph = spec, graph
        self.readers, self.writer = graph.readers(), graph.writer()
        self.owner: dict[str, str] = {}
        self.found: dict[str, Found] = {}
        self.after = following(spec)
        self.ahead = Ahead(spec, graph, self.after)

    def take(self, layer: Layer) -> None:
        """Find the operations of the next layer."""
        found = self.found[layer.name] = Found()
        if layer.kind == "InputLayer":
            index = self.spec.inputs.index(layer.name)
            found.value = self.graph.inputs[index] if index < len(self.graph.inputs) else ""
            return
        sources = [self.found[name].value for name in layer.inputs]
        if layer.kind in MERGES:
            self._merge(layer, found, sources)
        else:
            found.value = sources[0]
        if is_affine(layer):
            self._affine(layer, found)
        for stage in stages(layer):
            self._stage(layer, found, stage)

    def _stage(self, layer: Layer, found: Found, stage: Stage) -> None:
        ends = () if self._is_closed(layer) else stage.ends
        several = spread(self.graph, found.value, ends, self.owner) if stage.ends else []
        for each in several:
            self._own(layer, found, each)
        if several:
            return
        last = self.writer.get(found.value)
        if stage.kinds == ("shift",):
            # LiteRT's convolutions have a bias of zeros where another step adds the layer's.
            bare = "bias" in layer.weights and last is not None and not _biased(last)
            if not bare:
                return
        operation = self._best(layer, stage, found.value)
        applied = last is not None and stage.kinds[0] in last.applies
        if operation is not None and (operation.kind == stage.kinds[0] or not applied):
            self._own(layer, found, operation)
            return
        kinds = (stage.kinds[0], *(way[-1] for way in stage.ends))
        if last is not None and (
            any(kind in last.applies for kind in kinds) or self._took(layer, last, stage.kinds[0])
        ):
            found.fused = True
        elif stage.needed:
            found.missing = True
            found.note = f"no operation computes its {stage.kinds[0].replace('_', ' ')}"

    def _is_closed(self, layer: Layer) -> bool:
        """Whether nothing but layers with kernels reads the layer."""
        after = self.after[layer.name]
        return bool(after) and all(kernels(each) for each in after)

    def _took(self, layer: Layer, last: Operation, kind: str) -> bool:
        """Whether the layer before stands for both: of two clamps a converter keeps one."""
        before = self.spec.layer(layer.inputs[0])
        own = stages(before)
        mine = self.owner.get(last.writes) == before.name and last.kind == kind
        return mine and bool(own) and own[-1].kinds[0] in ("relu", "clip") and not before.weights

    def _affine(self, layer: Layer, found: Found) -> None:
        follower = self._affine_follows(layer)
        own: tuple[str, ...] = AFFINE
        if follower or self._affine_follows(layer, clamped=True):
            own = affine_kinds(layer)
        shared = len(self.after[layer.inputs[0]]) > 1  # a residual may read the same tensor
        for _ in range(2 if follower else 4):
            near = self._free(found.value)
            if len(near) == 1 and near[0].kind == "pad":  # of a layer that was padded too late
                near = self._free(near[0].writes)
            if shared and not found.operations:
                near = [operation for operation in near if operation.kind in AFFINE]
            if len(near) != 1 or near[0].kind not in own:
                break
            self._own(layer, found, near[0])
            if follower and near[0].kind == "norm":  # that is whole: what follows is of another
                break
        kinds = {operation.kind for operation in found.operations}
        whole = {"norm"} <= kinds or kinds == {*AFFINE[:2]}
        partly = layer.kind == "BatchNormalization" or (self.graph.folds_forward and not kinds)
        if partly and not whole:
            found.fused = True  # what is not there was folded into the layer before it

    def _affine_follows(self, layer: Layer, clamped: bool = False) -> bool:
        """Whether constants that follow may be another layer's, with nothing in between.

        A padding need not be there; nor, where integers end where it clamps, a ReLU.
        """
        for each in self.after[layer.name]:
            needed = [stage.kinds[0] for stage in stages(each) if stage.needed]
            computes = [kind for kind in needed if not (clamped and kind in ("relu", "clip"))]
            idle = each.kind not in MERGES and not is_affine(each) and not computes
            if is_affine(each) or (idle and self._affine_follows(each, clamped)):
                return True
        return False

    def _merge(self, layer: Layer, found: Found, sources: list[str]) -> None:
        """Take the operation that reads most of a merge's inputs; three may take several."""
        if layer.kind == "Dot" and layer.config.get("normalize"):
            sources = [self._normalized(layer, found, source) for source in sources]
        kind, left = MERGES[layer.kind], list(dict.fromkeys(sources))
        while True:
            reading: dict[str, list[str]] = {}
            operations: dict[str, Operation] = {}
            for source in left:
                for operation in self._reached(source):
                    if operation.kind == kind and operation.writes not in self.owner:
                        operations[operation.writes] = operation
                        reading.setdefault(operation.writes, []).append(source)
            if not reading:
                break
            name = max(reading, key=lambda n: (len(reading[n]), self.ahead.score(layer, n)))
            self._own(layer, found, operations[name])
            left = [source for source in left if source not in reading[name]]
            if not left:
                break
            left.append(found.value)
        if all(operation.kind != kind for operation in found.operations):
            found.missing, found.note = True, f"no operation computes its {kind}"
            found.value = self._likeliest(layer, sources)
        elif left := [source for source in left if source != found.value]:
            unread = (n for n, s in zip(layer.inputs, sources, strict=True) if s in left)
            found.note = f"it does not read {' and '.join(unread)}"

    def _normalized(self, layer: Layer, found: Found, source: str) -> str:
        """What a vector becomes before a normalized product: divided by its length."""
        several = spread(self.graph, source, (("product",),), self.owner)
        for each in several:
            self._own(layer, found, each)
        return several[-1].writes if several else source

    def _likeliest(self, layer: Layer, sources: list[str]) -> str:
        """The input of a merge that is not there from which the network goes on."""
        following = {kind for each in self.after[layer.name] for kind in first_kinds(each)}
        hopeful = (s for s in sources for o in self._free(s) if o.kind in following)
        return next(hopeful, sources[-1])

    def _best(self, layer: Layer, stage: Stage, source: str) -> Operation | None:
        """The operation of the kind that reads a tensor, the likeliest where there are several."""
        candidates = [
            operation
            for operation in (self._reached(source) if stage.needed else self._listeners(source))
            if operation.kind in stage.kinds and operation.writes not in self.owner
        ]

        def likeness(operation: Operation) -> tuple[float, ...]:
            kernel = operation.constants.get("kernel")
            same = kernel is not None and kernel.shape == stage.shape
            right = operation.kind == stage.kinds[0]
            near = operation in self._listeners(source)
            place = operation.writes
            side, alike = self.ahead.same_side(layer, place), 0.0
            if same and len(candidates) > 1:
                alike = likeness_of(kernels(layer), operation.constants)
            return (same, right, near, self.ahead.score(layer, place), side, alike)

        return max(candidates, key=likeness, default=None)

    def _own(self, layer: Layer, found: Found, operation: Operation) -> None:
        self.owner[operation.writes] = layer.name
        found.operations.append(operation)
        found.value = operation.writes

    def _free(self, source: str) -> list[Operation]:
        """What reads a tensor and belongs to no layer yet."""
        return [o for o in self._listeners(source) if o.writes not in self.owner]

    def _listeners(self, source: str) -> list[Operation]:
        """Operations that compute something from a tensor, through whatever only moves it."""
        return [path[-1] for path in self.paths(source, intruders=False)]

    def _reached(self, source: str) -> list[Operation]:
        """The same, through operations too that belong to no layer and read nothing else."""
        return [path[-1] for path in self.paths(source, intruders=True)]

    def paths(self, source: str, intruders: bool) -> Iterator[list[Operation]]:
        """Ways from a tensor to operations: the last one computes, those before are passed."""
        waiting: list[tuple[str, list[Operation]]] = [(source, [])]
        while waiting:
            tensor, passed = waiting.pop(0)
            for operation in self.readers.get(tensor, []):
                way = [*passed, operation]
                if not operation.moves:
                    yield way
                intruding = not operation.moves and intruders and self.may_pass(operation)
                near = sum(not each.moves for each in way) <= REACH
                if operation.moves or (intruding and near):
                    waiting.append((operation.writes, way))

    def may_pass(self, operation: Operation) -> bool:
        """Whether an operation belongs to no layer and reads nothing else."""
        free = operation.writes not in self.owner
        return free and len(operation.reads) == 1 and operation.kind not in ANCHORS


def _biased(operation: Operation) -> bool:
    bias = operation.constants.get("bias")
    return bias is not None and bool(np.any(bias))
