"""The parameters of an int8 ONNX file beside those recomputed from the float graph and ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from conversion.checks import int8
from conversion.checks.int8 import Steps
from conversion.checks.quantized import Pair
from conversion.settings import OnnxScheme
from conversion.taps.graph import Operation
from conversion.taps.onnx_parameters import Stored
from conversion.verification.quantized_graph import Laid

KEEPING = {"qdq": ("max_pool", "average_pool", "pad"), "qoperator": ("max_pool", "pad")}
"""Format to the kinds whose result keeps the scale of what they read."""

QUANTIZED = ("conv", "dense", "sum", "average_pool", "softmax", "concat", "product")
"""Kinds whose results ONNX Runtime always quantizes."""


@dataclass(eq=False)
class Recomputed:
    """Every parameter of an int8 file that the suite made, beside what it must be.

    Attributes:
        file: the int8 graph.
        prepared: the float graph that it was made from.
        ranges: tensor of the float graph to its lowest and highest value.
        scheme: how it was quantized.
    """

    file: Laid
    prepared: Laid
    ranges: Mapping[str, tuple[float, float]]
    scheme: OnnxScheme
    _visited: set[str] = field(default_factory=set)
    _known: dict[str, tuple[Steps, str] | None] = field(default_factory=dict)

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        constants = [p for each in self.file.graph.operations for p in self._constants(each)]
        return [*self._activations(), *constants, *self._left_in_float()]

    def unchecked(self) -> list[str]:
        """What the file should not have, by its name in it, and what it should have and has not."""
        return [*self.file.parameters.unvisited(self._visited), *self._lost()]

    def _lost(self) -> Iterator[str]:
        """Steps of the float graph that are not in the file."""
        for name, place in self.prepared.alignment.places.items():
            ours = Counter(o.kind for o in self.file.alignment.places[name].operations)
            theirs = Counter(o.kind for o in place.operations if o.kind in QUANTIZED)
            yield from (f"{kind} of {name}, which is not there" for kind in theirs - ours)

    def _activations(self) -> Iterator[Pair]:
        parameters = self.file.parameters
        for slot in parameters.slots:
            steps = parameters.steps(slot)
            if slot.value in parameters.constants or steps is None:
                continue
            root = self.file.root(slot.value)
            expected = self._expected(root)
            if expected is None:
                continue
            (wanted, why), layer, words = expected, self.file.named(root), self.file.words(slot)
            self._visited |= {slot.scale, slot.zero}
            yield Pair("scales", layer, words, steps[0], wanted.scale, why=why)
            yield Pair("zero_points", layer, words, steps[1], wanted.zero_point, why=why)

    def _left_in_float(self) -> Iterator[Pair]:
        """Results that must be quantized and are not."""
        marked = {self.file.root(value) for value in self.file.integers}
        for operation in self.file.graph.operations:
            if self.file.layer.get(operation.writes) in self.scheme.float_layers:
                continue
            wanted = self._expected(operation.writes) if operation.kind in QUANTIZED else None
            if wanted is not None and operation.writes not in marked:
                layer = self.file.owner[operation.writes]
                words = f"the output of {layer}, which is in float,"
                yield Pair("scales", layer, words, np.zeros(0, np.float32), wanted[0].scale)

    def _expected(self, root: str) -> tuple[Steps, str] | None:
        """Scale and zero point of a result or an input, and the range that they come from."""
        if root not in self._known:
            self._known[root] = None  # should the graph go round in a circle
            self._known[root] = self._compute(root)
        return self._known[root]

    def _compute(self, root: str) -> tuple[Steps, str] | None:
        operation = self.file.writer.get(root)
        if operation is None:
            index = self.file.graph.inputs.index(root) if root in self.file.graph.inputs else -1
            known = 0 <= index < len(self.prepared.graph.inputs)
            return self._of_range(self.prepared.graph.inputs[index]) if known else None
        if operation.kind in KEEPING[self.scheme.format] and self.file.reads_integers(operation):
            return self._expected(self.file.root(operation.reads[0]))
        twin = self._twin(operation)
        if twin is None:
            return None
        if operation.kind == "softmax":
            return self._of_softmax()
        return self._of_range(self._taken_over(twin.writes))

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
            waiting += [o.writes for o in self.prepared.readers.get(name, []) if o.moves]
        return None

    def _taken_over(self, tensor: str) -> str:
        """Whose range a result has: that of the ReLU that alone reads it, where there is one."""
        while True:
            after = self.prepared.readers.get(tensor, [])
            if len(after) != 1 or after[0].kind not in ("relu", "clip"):
                return tensor
            tensor = after[0].writes
            if self.scheme.format == "qoperator":  # there it is taken over once, not down a chain
                return tensor

    def _twin(self, operation: Operation) -> Operation | None:
        """The same step of the same layer in the float graph."""
        name = self.file.layer.get(operation.writes)
        if name is None:
            return None
        ours, theirs = (
            [o for o in laid.alignment.places[name].operations if o.kind == operation.kind]
            for laid in (self.file, self.prepared)
        )
        index = ours.index(operation)
        return theirs[index] if index < len(theirs) else None

    def _constants(self, operation: Operation) -> Iterator[Pair]:
        parameters, twin = self.file.parameters, self._twin(operation)
        if twin is None:
            return
        kernel, value = parameters.kernel(operation.writes), None
        if kernel is not None:
            yield from self._weights(operation, twin, kernel)
        elif operation.kind in ("scale", "shift"):
            value = parameters.value(operation.writes)
        reals = self.prepared.parameters.real("value", twin.writes)
        if value is not None and reals is not None:
            kind, format_ = self.scheme.activations, self.scheme.format
            same = kind == self.scheme.weights == "int8" and format_ == "qoperator"
            seven_bits = self.scheme.seven_bits and format_ == "qdq"
            steps = int8.of_weights(reals, kind, None, same, seven_bits)
            words = f"the constant of {self.file.layer[operation.writes]}"
            yield from self._stored(operation, words, value, int8.integers(reals, steps), steps)

    def _weights(self, operation: Operation, twin: Operation, kernel: Stored) -> Iterator[Pair]:
        parameters, scheme = self.file.parameters, self.scheme
        reals = self.prepared.parameters.real("kernel", twin.writes)
        added = self.prepared.parameters.real("bias", twin.writes)
        if reals is None:
            return
        axis = parameters.channel_axis(operation.writes) if scheme.per_channel else None
        name = self.file.layer[operation.writes]
        if name in scheme.float_layers:
            yield from self._float(operation, kernel, reals, added)
            return
        operator = scheme.format == "qoperator"
        # ONNX Runtime stores these in int8 whatever is asked for, and in QDQ format 0 is 128.
        kind = "int8" if axis == 0 and operator and operation.kind == "conv" else scheme.weights
        symmetric = kind == "int8" or (axis is not None and not operator)
        steps = int8.of_weights(reals, kind, axis, symmetric, scheme.seven_bits)
        read = self._expected(self.file.root(operation.reads[0]))
        if read is not None and added is not None and scheme.weights == "int8":
            steps = int8.raised(steps, read[0].scale, added)
        whole = int8.integers(reals, steps, axis)
        yield from self._stored(operation, f"the kernel of {name}", kernel, whole, steps, axis)
        bias = parameters.bias(operation.writes)
        if bias is None or added is None or read is None:
            return
        scale = int8.bias_scale(read[0].scale, steps.scale)
        implied = Steps(scale, np.zeros(scale.shape, np.int32))
        whole, along = int8.bias_integers(added, scale), None if axis is None else 0
        words = f"the bias of {name}"
        yield from self._stored(operation, words, bias, whole, implied, along, "biases")

    def _float(
        self, operation: Operation, kernel: Stored, reals: np.ndarray, added: np.ndarray | None
    ) -> Iterator[Pair]:
        """The constants of a layer that is left in float, as they are in the float graph."""
        parameters, layer = self.file.parameters, self.file.owner[operation.writes]
        name, bias = self.file.layer[operation.writes], parameters.bias(operation.writes)
        for part, words, stored, wanted in (
            ("weights", "kernel", kernel, reals),
            ("biases", "bias", bias, added),
        ):
            if stored is not None and wanted is not None:
                self._visited.add(stored.name)
                found = parameters.constants[stored.name]
                yield Pair(part, layer, f"the {words} of {name}", found, wanted)

    def _stored(
        self,
        operation: Operation,
        words: str,
        stored: Stored,
        whole: np.ndarray,
        steps: Steps,
        axis: int | None = None,
        part: str = "weights",
    ) -> Iterator[Pair]:
        """A stored constant, with its scale and zero point where they stand in the file."""
        parameters, layer = self.file.parameters, self.file.owner[operation.writes]
        self._visited.add(stored.name)
        yield Pair(part, layer, words, parameters.constants[stored.name], whole)
        pair = None if stored.slot is None else parameters.steps(stored.slot)
        if stored.slot is None or pair is None:
            return
        self._visited |= {stored.slot.scale, stored.slot.zero}
        yield Pair("scales", layer, words, pair[0], steps.scale)
        yield Pair("zero_points", layer, words, pair[1], steps.zero_point)
        if axis is not None and stored.slot.axis is not None:
            turned = f"{words} by axis"
            yield Pair("scales", layer, turned, np.array(stored.slot.axis), np.array(axis))
