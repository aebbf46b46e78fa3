"""An int8 graph beside the float graph that it was made from, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from conversion.core.errors import RunFailed, UserError
from conversion.proof.checks.int8.quantized_graph import DROPPED, Laid, base
from conversion.proof.taps.candidates import apart
from conversion.proof.taps.network import Computed
from conversion.proof.taps.opened import Exposed, one_by_one

Apart = Callable[[str, str], float]
"""How far the values of an int8 tensor lie from those of a float one."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """Compares tensors of two files by their values on a few images, once one is asked for.

    Attributes:
        one: a file.
        other: another one.
        probes: input name to ``(N, ...)`` float32.
    """

    one: Exposed
    other: Exposed
    probes: Mapping[str, np.ndarray]

    def __call__(self, one: str, other: str) -> float:
        """How far a tensor of the first lies from one of the second, as a part of its spread."""
        ours, theirs = (
            values.get(name) for values, name in zip(self._values, (one, other), strict=True)
        )
        if ours is None or theirs is None or ours.shape != theirs.shape:
            return np.inf
        return apart(theirs, ours)

    @cached_property
    def _values(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        return self._of(self.one), self._of(self.other)

    def _of(self, file: Exposed) -> dict[str, np.ndarray]:
        try:
            return one_by_one(file.look, [each.name for each in file.network.tensors], self.probes)
        except (UserError, RunFailed):  # other checks say so
            return {}


class Twins:
    """Which step of a float graph a step of its int8 graph is.

    It is one of the same operator that reads the same; of several the one whose values are closest,
    before or after its activation; of those that are as close the first.
    """

    def __init__(self, file: Laid, prepared: Laid, apart: Apart) -> None:
        """Pair the steps.

        Args:
            file: the int8 graph.
            prepared: the float graph.
            apart: says how alike tensors are, the int8 one first.
        """
        self._file, self._prepared, self._apart = file, prepared, apart
        self._of: dict[str, Computed] = {}
        self._taken: set[str] = set()
        self._activations: dict[str, list[str]] = {}
        for each in prepared.steps:
            if base(each) in DROPPED:
                self._activations.setdefault(prepared.bare(each.name), []).append(each.name)
        ends = zip(file.network.inputs, prepared.network.inputs, strict=False)
        self._same = dict(ends)
        for step in file.steps:
            self._pair(step)

    def of(self, tensor: str) -> Computed | None:
        """The float step of an int8 one's result; None where there is none."""
        return self._of.get(tensor)

    def lost(self) -> list[Computed]:
        """Float steps that no int8 one computes, but for activations that may be left out."""
        return [each for each in self._left() if base(each) not in DROPPED]

    def left_out(self) -> Iterator[tuple[Computed, Computed]]:
        """Activations that no int8 step computes, each with the int8 step whose range does."""
        writers = {twin.name: name for name, twin in self._of.items()}
        for step in self._left():
            before = writers.get(self._prepared.bare(step.reads[0]))
            if base(step) in DROPPED and before is not None:
                yield step, self._file.network.of(before)

    def _left(self) -> list[Computed]:
        """Float steps that are no int8 step's twin."""
        return [each for each in self._prepared.steps if each.name not in self._taken]

    def _pair(self, step: Computed) -> None:
        reads = [self._same.get(self._file.bare(name)) for name in step.reads]
        alike = [each for each in self._left() if base(each) == base(step)]
        bare = self._prepared.bare
        found = [each for each in alike if [bare(name) for name in each.reads] == reads] or alike
        if len(found) > 1:
            found.sort(key=lambda each: self._away(step, each))
        if found:
            self._taken.add(found[0].name)
            self._of[step.name] = found[0]
            self._same[step.name] = found[0].name

    def _away(self, step: Computed, twin: Computed) -> float:
        """How far a step's values lie from a float one's, or those that an activation makes of it.

        Where the file leaves that out, its integers hold nothing that the activation cuts off.
        """
        names = (twin.name, *self._activations.get(twin.name, ()))
        return min(self._apart(step.name, name) for name in names)
