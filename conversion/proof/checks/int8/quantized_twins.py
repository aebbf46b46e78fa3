"""An int8 graph beside the float graph that it was made from, step by step, by topology."""

from __future__ import annotations

from collections.abc import Iterator

from conversion.proof.checks.int8.quantized_graph import Laid
from conversion.proof.taps.graph import Operation

DROPPED = ("Relu", "Clip")
"""Operators that quantization may leave out: the range of what they read holds nothing else."""


class Twins:
    """Which step of a float graph a step of its int8 graph is.

    A step is the one of the same operator that reads the same steps; where there are several, that
    of the same layer. Where the graphs differ, the steps of a layer are paired in their order.
    """

    def __init__(self, file: Laid, prepared: Laid) -> None:
        """Pair the steps.

        Args:
            file: the int8 graph.
            prepared: the float graph.
        """
        self._file, self._prepared = file, prepared
        self._of: dict[str, Operation] = {}
        self._taken: set[str] = set()
        self._same = dict(zip(file.graph.inputs, prepared.graph.inputs, strict=False))
        self._waiting = [o for o in prepared.graph.operations if not o.moves]
        for operation in file.graph.operations:
            if not operation.moves:
                self._pair(operation)

    def of(self, operation: Operation) -> Operation | None:
        """The float step of an int8 one; None where there is none."""
        return self._of.get(operation.writes)

    def lost(self) -> list[Operation]:
        """Float steps that no int8 one computes, but for activations that may be left out."""
        return [o for o in self._left() if self._prepared.base(o) not in DROPPED]

    def left_out(self) -> Iterator[tuple[Operation, Operation]]:
        """Activations that no int8 step computes, each with the int8 step whose range does."""
        writers = {twin.writes: name for name, twin in self._of.items()}
        for operation in self._left():
            if self._prepared.base(operation) in DROPPED:
                before = writers.get(self._prepared.bare(operation.reads[0]))
                if before is not None:
                    yield operation, self._file.writer[before]

    def _left(self) -> list[Operation]:
        """Float steps that are no int8 step's twin."""
        return [o for o in self._waiting if o.writes not in self._taken]

    def _pair(self, operation: Operation) -> None:
        file, prepared, base = self._file, self._prepared, self._file.base(operation)
        reads = [self._same.get(file.bare(name)) for name in operation.reads]
        alike = [o for o in self._left() if prepared.base(o) == base]
        found = [o for o in alike if [prepared.bare(name) for name in o.reads] == reads]
        layer = file.layer.get(operation.writes)
        own = [o for o in alike if layer is not None and prepared.layer.get(o.writes) == layer]
        twin = next((o for o in own if o in found), next(iter([*found, *own]), None))
        if twin is not None:
            self._taken.add(twin.writes)
            self._of[operation.writes] = twin
            self._same[operation.writes] = twin.writes
