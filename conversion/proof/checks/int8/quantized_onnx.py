"""The parameters of an int8 ONNX file beside those recomputed from the float graph and ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from conversion.core.settings import OnnxScheme
from conversion.proof.checks.int8.quantized_graph import Laid
from conversion.proof.checks.int8.quantized_twins import DROPPED, Twins
from conversion.proof.metrics import int8
from conversion.proof.metrics.int8 import Steps
from conversion.proof.metrics.quantized import Pair
from conversion.proof.taps.graph import Operation
from conversion.proof.taps.onnx_parameters import Stored

KEEPING = {
    "qdq": ("MaxPool", "AveragePool", "Pad", "Resize", "Slice", "Split", "Gather"),
    "qoperator": ("MaxPool", "Pad", "Resize", "Split", "Gather"),
}
"""Format to the operators whose result keeps the scale of the integers that they read."""

_ALWAYS = (
    *("Conv", "Gemm", "MatMul", "Add", "Mul"),
    *("LeakyRelu", "Sigmoid", "Concat", "Softmax", "AveragePool"),
)
QUANTIZED = {"qdq": (*_ALWAYS, "ConvTranspose"), "qoperator": _ALWAYS}
"""Format to the operators whose results ONNX Runtime always quantizes: `registry.py` of its
`quantization`, as of 1.31."""


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
    _twins: Twins = field(init=False)
    _known: dict[str, tuple[Steps, str] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._twins = Twins(self.file, self.prepared)

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        constants = [p for each in self.file.graph.operations for p in self._constants(each)]
        return [*self._activations(), *constants, *self._left_in_float()]

    def unchecked(self) -> list[str]:
        """What the file should not have, by its name in it, and what it should have and has not."""
        return [*self.file.parameters.unvisited(self._visited), *self._lost()]

    def _lost(self) -> Iterator[str]:
        """Steps of the float graph that are not in the file."""
        yield from (f"{self._named(o)}, which is not there" for o in self._twins.lost())
        for operation, before in self._twins.left_out():
            twin = self._twins.of(before)
            keeps = self._keeps(before)
            if twin is None or keeps or operation.writes not in self._chain(twin.writes):
                yield f"{self._named(operation)}, which is not there"

    def _named(self, operation: Operation) -> str:
        """A step of the float graph in words."""
        layer = self.prepared.layer.get(operation.writes, operation.writes)
        return f"{operation.kind} of {layer}"

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
            always = self.file.base(operation) in QUANTIZED[self.scheme.format]
            wanted = self._expected(operation.writes) if always else None
            if wanted is not None and operation.writes not in marked:
                layer = self.file.owner.get(operation.writes, operation.writes)
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
        if operation is None or (operation.moves and not operation.reads):
            index = self.file.graph.inputs.index(root) if root in self.file.graph.inputs else -1
            known = 0 <= index < len(self.prepared.graph.inputs)
            if not known:
                return self._of_shapes(root)
            return self._of_range(self.prepared.graph.inputs[index])
        if self._keeps(operation):
            return self._expected(self.file.root(operation.reads[0]))
        twin = self._twins.of(operation)
        if twin is None:
            return None
        if self.file.base(operation) == "Softmax":
            return self._of_softmax()
        return self._of_range([twin.writes, *self._chain(twin.writes)][-1])

    def _of_shapes(self, root: str) -> tuple[Steps, str] | None:
        """Of what is made of shapes alone, such as zeros as many as needed: by who reads it."""
        parameters = self.file.parameters
        for operation in self.file.graph.operations:
            twin = self._twins.of(operation)
            reads = [self.file.source(name) for name in parameters.reads(operation.writes)]
            if twin is not None and self.file.source(root) in reads:
                names = self.prepared.parameters.reads(twin.writes)
                return self._of_range(names[reads.index(self.file.source(root))])
        return None

    def _keeps(self, operation: Operation) -> bool:
        """Whether an operation gives integers on with the scale with which it reads them."""
        format_, twin = self.scheme.format, self._twins.of(operation)
        if self.file.base(operation) not in KEEPING[format_]:
            return False
        if format_ == "qdq":  # a ReLU that follows is replaced by a range of its own
            before = self.file.writer.get(operation.reads[0])
            cast = before is not None and before.kind == "dequantize"
            return cast and (twin is None or not self._chain(twin.writes))
        return self.file.holds_integers(operation.reads[0])

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

    def _chain(self, tensor: str) -> list[str]:
        """The results of the activations whose range a result has, the last one's being it."""
        found: list[str] = []
        while True:
            after = self.prepared.readers.get(tensor, [])
            if len(after) != 1 or self.prepared.base(after[0]) not in DROPPED:
                return found
            (reader,) = after
            if tensor in self.prepared.graph.outputs or reader.writes in self._kept:
                return found
            found.append(tensor := reader.writes)
            if self.scheme.format == "qoperator":  # there it is taken over once, not down a chain
                return found

    @cached_property
    def _kept(self) -> set[str]:
        """Float results of activations that are in the file as they are, in QOperator format."""
        if self.scheme.format == "qdq":
            return set()
        operations = (o for o in self.file.graph.operations if self.file.base(o) in DROPPED)
        twins = (self._twins.of(o) for o in operations)
        return {twin.writes for twin in twins if twin is not None}

    def _constants(self, operation: Operation) -> Iterator[Pair]:
        twin = self._twins.of(operation)
        if twin is None:
            return
        kernel = self.file.parameters.kernel(operation.writes)
        if kernel is not None:
            yield from self._weights(operation, twin, kernel)
            return
        ours, theirs = (
            laid.parameters.values(each.writes)
            for laid, each in ((self.file, operation), (self.prepared, twin))
        )
        for stored, plain in zip(ours, theirs, strict=False):
            if stored is not None and plain is not None:
                yield from self._value(
                    operation, stored, self.prepared.parameters.constants[plain.name]
                )

    def _value(self, operation: Operation, stored: Stored, reals: np.ndarray) -> Iterator[Pair]:
        """A constant beside kernel and bias: as it is, or in the integers of activations."""
        words = f"the constant of {self.file.layer.get(operation.writes, operation.writes)}"
        whole = self.file.parameters.constants[stored.name]
        always = self.file.base(operation) in QUANTIZED[self.scheme.format]
        float_layer = self.file.layer.get(operation.writes) in self.scheme.float_layers
        if reals.dtype != np.float32 or float_layer or not (always or stored.slot is not None):
            self._visited.add(stored.name)
            yield Pair("weights", self._owner(operation), words, whole, reals)
            return
        kind, format_ = self.scheme.activations, self.scheme.format
        same = kind == self.scheme.weights == "int8" and format_ == "qoperator"
        seven_bits = self.scheme.seven_bits and format_ == "qdq"
        steps = int8.of_weights(reals, kind, None, same, seven_bits)
        yield from self._stored(operation, words, stored, int8.integers(reals, steps), steps)

    def _owner(self, operation: Operation) -> str:
        return self.file.owner.get(operation.writes, operation.writes)

    def _weights(self, operation: Operation, twin: Operation, kernel: Stored) -> Iterator[Pair]:
        parameters, scheme = self.file.parameters, self.scheme
        source = self.prepared.parameters
        reals, added = (
            None if each is None else source.constants[each.name]
            for each in (source.kernel(twin.writes), source.bias(twin.writes))
        )
        if reals is None:
            return
        axis = parameters.channel_axis(operation.writes) if scheme.per_channel else None
        name = self.file.layer.get(operation.writes, operation.writes)
        plain = self.file.base(operation) not in QUANTIZED[scheme.format]
        if name in scheme.float_layers or plain:
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
        parameters, layer = self.file.parameters, self._owner(operation)
        name = self.file.layer.get(operation.writes, operation.writes)
        bias = parameters.bias(operation.writes)
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
        parameters, layer = self.file.parameters, self._owner(operation)
        self._visited.add(stored.name)
        yield Pair(part, layer, words, parameters.constants[stored.name], whole)
        pair = None if stored.slot is None else parameters.steps(stored.slot)
        if stored.slot is None or pair is None:
            return
        self._visited |= {stored.slot.scale, stored.slot.zero}
        yield Pair("scales", layer, words, pair[0], steps.scale)
        yield Pair("zero_points", layer, words, pair[1], steps.zero_point)
        if axis is not None and stored.slot.axis is not None and pair[0].size > 1:
            turned = f"{words} by axis"
            yield Pair("scales", layer, turned, np.array(stored.slot.axis), np.array(axis))
