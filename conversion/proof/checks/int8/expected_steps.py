"""Scale and zero point that each result of an int8 ONNX file must have, from recorded ranges."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from conversion.core.settings import OnnxScheme
from conversion.proof.checks.int8.quantized_graph import DROPPED, Laid, base
from conversion.proof.checks.int8.quantized_twins import Twins
from conversion.proof.metrics import int8
from conversion.proof.metrics.int8 import Steps
from conversion.proof.taps.network import Computed

KEEPING = {
    "qdq": ("maxpool", "averagepool", "pad", "resize", "slice", "split", "gather"),
    "qoperator": ("maxpool", "pad", "resize", "split", "gather"),
}
"""Format to the operators whose result keeps the scale of the integers that they read."""


class ExpectedSteps:
    """What ONNX Runtime's quantizer makes of the ranges of a float graph."""

    def __init__(
        self,
        file: Laid,
        prepared: Laid,
        twins: Twins,
        ranges: Mapping[str, tuple[float, float]],
        scheme: OnnxScheme,
    ) -> None:
        """Take in both graphs.

        Args:
            file: the int8 graph.
            prepared: the float graph that it was made from.
            twins: which step is which.
            ranges: tensor of the float graph to its lowest and highest value.
            scheme: how it was quantized.
        """
        self.file, self.prepared, self._twins = file, prepared, twins
        self.ranges, self.scheme = ranges, scheme
        self._known: dict[str, tuple[Steps, str] | None] = {}

    def of(self, root: str) -> tuple[Steps, str] | None:
        """Scale and zero point of a result or an input, and the range that they come from."""
        if root not in self._known:
            self._known[root] = None  # should the graph go round in a circle
            self._known[root] = self._compute(root)
        return self._known[root]

    def _compute(self, root: str) -> tuple[Steps, str] | None:
        step, inputs = self.file.step(root), self.file.network.inputs
        if step is None:
            known = root in inputs[: len(self.prepared.network.inputs)]
            if not known:
                return self._of_shapes(root)
            return self._of_range(self.prepared.network.inputs[inputs.index(root)])
        if self.keeps(step):
            return self.of(self.file.root(step.reads[0]))
        if self._twins.of(root) is None:
            return None
        if base(step) == "softmax" and not self._in_float(step):
            return self._of_softmax()
        return self._of_range(self.stands_for(root))

    def _of_shapes(self, root: str) -> tuple[Steps, str] | None:
        """Of what is made of shapes alone, such as zeros as many as needed: by who reads it."""
        parameters = self.file.parameters
        for step in self.file.steps:
            twin = self._twins.of(step.name)
            reads = [self.file.source(name) for name in parameters.reads(step.name)]
            if twin is not None and self.file.source(root) in reads:
                names = self.prepared.parameters.reads(twin.name)
                return self._of_range(names[reads.index(self.file.source(root))])
        return None

    def keeps(self, step: Computed) -> bool:
        """Whether a step gives integers on with the scale with which it reads them."""
        if base(step) not in KEEPING[self.scheme.format]:
            return False
        if self.scheme.format == "qdq":  # a ReLU that follows is replaced by a range of its own
            cast = self.file.step(step.reads[0])
            is_cast = cast is not None and cast.kind == "dequantizelinear"
            return is_cast and len(self.behind(step.name)) < 2
        return self.file.holds_integers(step.reads[0])

    def _in_float(self, step: Computed) -> bool:
        """Whether an operator that could have integers was left in float."""
        return self.scheme.format != "qdq" and not step.kind.startswith("qlinear")

    def _of_softmax(self) -> tuple[Steps, str]:
        """A softmax has no range of its own: 1/256 in QOperator format, 0 to 1 in QDQ."""
        kind = self.scheme.activations
        if self.scheme.format == "qdq":
            return int8.of_range(0.0, 1.0, kind), "range [0, 1] of a softmax"
        zero = np.array(np.iinfo(kind).min, kind)
        return Steps(np.array(1 / 256, np.float32), zero), "1/256 for a softmax"

    def _of_range(self, tensor: str) -> tuple[Steps, str] | None:
        """From a tensor's range, or that of the same elements moved."""
        waiting = [tensor]
        while waiting:
            name = waiting.pop(0)
            if name in self.ranges:
                low, high = self.ranges[name]
                steps = int8.of_range(low, high, self.scheme.activations)
                return steps, f"range [{low:.6g}, {high:.6g}]"
            waiting += [each.name for each in self._readers(name) if each.moves]
        return None

    def _readers(self, tensor: str) -> list[Computed]:
        return list(self.prepared.network.readers.get(tensor, []))

    def behind(self, root: str) -> list[str]:
        """The float results that an int8 one may stand for, the last one being what it does."""
        twin = self._twins.of(root)
        return [] if twin is None else [twin.name, *self._chain(twin.name)]

    def _chain(self, tensor: str) -> list[str]:
        """The results of the activations whose range a result has, the last one's being it."""
        found: list[str] = []
        while True:
            after = self._readers(tensor)
            if len(after) != 1 or base(after[0]) not in DROPPED:
                return found
            (reader,) = after
            if tensor in self.prepared.network.outputs or reader.name in self._kept:
                return found
            found.append(tensor := reader.name)
            if self.scheme.format == "qoperator":  # there it is taken over once, not down a chain
                return found

    @cached_property
    def _kept(self) -> set[str]:
        """Float results of activations that are in the file as they are, in QOperator format."""
        if self.scheme.format == "qdq":
            return set()
        twins = (self._twins.of(each.name) for each in self.file.steps if base(each) in DROPPED)
        return {twin.name for twin in twins if twin is not None}

    def stands_for(self, root: str) -> str:
        """The float result whose values an int8 one has."""
        behind = self.behind(root)
        return behind[-1] if behind else root
