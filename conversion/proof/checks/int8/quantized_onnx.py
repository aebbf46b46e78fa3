"""The parameters of an int8 ONNX file beside those recomputed from the float graph and ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from conversion.core.settings import OnnxScheme
from conversion.proof.checks.int8.expected_steps import ExpectedSteps
from conversion.proof.checks.int8.quantized_graph import Laid, base
from conversion.proof.checks.int8.quantized_twins import Apart, Twins
from conversion.proof.metrics import int8
from conversion.proof.metrics.int8 import Steps
from conversion.proof.metrics.quantized import Pair
from conversion.proof.taps.network import Computed
from conversion.proof.taps.onnx_parameters import Slot, Stored
from conversion.proof.taps.owners import Owners

_ALWAYS = (
    *("conv", "gemm", "matmul", "add", "mul"),
    *("leakyrelu", "sigmoid", "concat", "softmax", "averagepool"),
)
QUANTIZED = {"qdq": (*_ALWAYS, "convtranspose"), "qoperator": _ALWAYS}
"""Format to the operators whose results ONNX Runtime always quantizes: `registry.py` of its
`quantization`, as of 1.31."""


class Recomputed:
    """Every parameter of an int8 file that the suite made, beside what it must be."""

    def __init__(
        self,
        file: Laid,
        prepared: Laid,
        owners: Owners,
        ranges: Mapping[str, tuple[float, float]],
        scheme: OnnxScheme,
        apart: Apart,
    ) -> None:
        """Find the float step of every int8 one.

        Args:
            file: the int8 graph.
            prepared: the float graph that it was made from.
            owners: the layers in that one.
            ranges: tensor of the float graph to its lowest and highest value.
            scheme: how it was quantized.
            apart: says how alike an int8 tensor and a float one are.
        """
        self.file, self.prepared, self.owners, self.scheme = file, prepared, owners, scheme
        self._visited: set[str] = set()
        found = owners.steps()
        self._in_float = {step for name in scheme.float_layers for step in found.get(name, ())}
        self._twins = Twins(file, prepared, apart)
        self._steps = ExpectedSteps(file, prepared, self._twins, ranges, scheme)

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        constants = [p for each in self.file.steps for p in self._constants(each)]
        return [*self._activations(), *constants, *self._left_in_float()]

    def unchecked(self) -> list[str]:
        """What the file should not have, by its name in it, and what it should have and has not."""
        return [*self.file.parameters.unvisited(self._visited), *self._lost()]

    def _lost(self) -> Iterator[str]:
        """Steps of the float graph that are not in the file."""
        yield from (f"{self._words(each)}, which is not there" for each in self._twins.lost())
        for step, before in self._twins.left_out():
            if self._steps.keeps(before) or step.name not in self._steps.behind(before.name):
                yield f"{self._words(step)}, which is not there"

    def _words(self, step: Computed) -> str:
        """A step of the float graph in words."""
        return f"{step.kind} of {self.owners.layer(step.name) or step.name}"

    def _activations(self) -> Iterator[Pair]:
        parameters = self.file.parameters
        for slot in parameters.slots:
            steps = parameters.steps(slot)
            if slot.value in parameters.constants or steps is None:
                continue
            root = self.file.root(slot.value)
            expected = self._steps.of(root)
            if expected is None:
                continue
            (wanted, why), layer, words = expected, self._named(root), self._place(root, slot)
            self._visited |= {slot.scale, slot.zero}
            yield Pair("scales", layer, words, steps[0], wanted.scale, why=why)
            yield Pair("zero_points", layer, words, steps[1], wanted.zero_point, why=why)

    def _named(self, root: str) -> str:
        """The layer that a result or an input of the file belongs to."""
        if root in self.file.network.inputs:
            index = self.file.network.inputs.index(root)
            return self.owners.spec.inputs[index] if index < len(self.owners.spec.inputs) else root
        found = self._steps.stands_for(root)
        known = found in self.prepared.network.position
        return (self.owners.of(found) if known else "") or root

    def _place(self, root: str, slot: Slot) -> str:
        """Whose scale and zero point a place names, and where it stands."""
        layer = self._named(root)
        inside = root in self.file.network.position and not self._is_output(root)
        whose = f"the {'sums' if inside else 'output'} of {layer}"
        if self.file.step(root) is None:
            whose = f"the input {layer}"
        if slot.writes:
            return whose
        kind = self.file.parameters.nodes[slot.node].op_type
        reader = self._twins.of(slot.node)
        named = "" if reader is None else self.owners.layer(reader.name)
        return f"{whose} as {named or kind} reads it"

    def _is_output(self, root: str) -> bool:
        found = self._steps.stands_for(root)
        return found in self.prepared.network.position and self.owners.is_output(found)

    def _left_in_float(self) -> Iterator[Pair]:
        """Results that must be quantized and are not."""
        marked = {self.file.root(slot.value) for slot in self.file.parameters.slots}
        for step in self.file.steps:
            always = base(step) in QUANTIZED[self.scheme.format] and not self._is_float(step)
            wanted = self._steps.of(step.name) if always else None
            if wanted is not None and step.name not in marked:
                layer = self._named(step.name)
                words = f"the output of {layer}, which is in float,"
                yield Pair("scales", layer, words, np.zeros(0, np.float32), wanted[0].scale)

    def _is_float(self, step: Computed) -> bool:
        """Whether the scheme leaves a step in float."""
        twin = self._twins.of(step.name)
        return twin is not None and twin.name in self._in_float

    def _layer(self, step: Computed) -> str:
        """The layer whose step one is."""
        twin = self._twins.of(step.name)
        return (self.owners.layer(twin.name) if twin is not None else "") or step.name

    def _constants(self, step: Computed) -> Iterator[Pair]:
        twin = self._twins.of(step.name)
        if twin is None:
            return
        kernel = self.file.parameters.kernel(step.name)
        if kernel is not None:
            yield from self._weights(step, twin, kernel)
            return
        ours, theirs = (
            laid.parameters.values(each.name)
            for laid, each in ((self.file, step), (self.prepared, twin))
        )
        for stored, plain in zip(ours, theirs, strict=False):
            if stored is not None and plain is not None:
                yield from self._value(step, stored, self.prepared.parameters.constants[plain.name])

    def _value(self, step: Computed, stored: Stored, reals: np.ndarray) -> Iterator[Pair]:
        """A constant beside kernel and bias: as it is, or in the integers of activations."""
        words = f"the constant of {self._layer(step)}"
        whole = self.file.parameters.constants[stored.name]
        always = base(step) in QUANTIZED[self.scheme.format]
        # A number that others read too is stored once for all: whole steps, in float as well.
        one = stored.slot is not None and reals.size == 1
        plain = (self._is_float(step) and not one) or not (always or stored.slot is not None)
        if reals.dtype != np.float32 or plain:
            self._visited.add(stored.name)
            yield Pair("weights", self._named(step.name), words, whole, reals)
            return
        kind, format_ = self.scheme.activations, self.scheme.format
        same = kind == self.scheme.weights == "int8" and format_ == "qoperator"
        seven_bits = self.scheme.seven_bits and format_ == "qdq"
        steps = int8.of_weights(reals, kind, None, same, seven_bits)
        yield from self._stored(step, words, stored, int8.integers(reals, steps), steps)

    def _weights(self, step: Computed, twin: Computed, kernel: Stored) -> Iterator[Pair]:
        parameters, scheme = self.file.parameters, self.scheme
        source = self.prepared.parameters
        reals, added = (
            None if each is None else source.constants[each.name]
            for each in (source.kernel(twin.name), source.bias(twin.name))
        )
        if reals is None:
            return
        axis = parameters.channel_axis(step.name) if scheme.per_channel else None
        name = self._layer(step)
        plain = base(step) not in QUANTIZED[scheme.format]
        if self._is_float(step) or plain:
            yield from self._float(step, kernel, reals, added)
            return
        operator = scheme.format == "qoperator"
        # ONNX Runtime stores these in int8 whatever is asked for, and in QDQ format 0 is 128.
        kind = "int8" if axis == 0 and operator and base(step) == "conv" else scheme.weights
        symmetric = kind == "int8" or (axis is not None and not operator)
        steps = int8.of_weights(reals, kind, axis, symmetric, scheme.seven_bits)
        read = self._steps.of(self.file.root(step.reads[0]))
        if read is not None and added is not None and scheme.weights == "int8":
            steps = int8.raised(steps, read[0].scale, added)
        whole = int8.integers(reals, steps, axis)
        yield from self._stored(step, f"the kernel of {name}", kernel, whole, steps, axis)
        bias = parameters.bias(step.name)
        if bias is None or added is None or read is None:
            return
        scale = int8.bias_scale(read[0].scale, steps.scale)
        implied = Steps(scale, np.zeros(scale.shape, np.int32))
        whole, along = int8.bias_integers(added, scale), None if axis is None else 0
        words = f"the bias of {name}"
        yield from self._stored(step, words, bias, whole, implied, along, "biases")

    def _float(
        self, step: Computed, kernel: Stored, reals: np.ndarray, added: np.ndarray | None
    ) -> Iterator[Pair]:
        """The constants of a layer that is left in float, as they are in the float graph."""
        parameters, layer = self.file.parameters, self._named(step.name)
        name = self._layer(step)
        bias = parameters.bias(step.name)
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
        step: Computed,
        words: str,
        stored: Stored,
        whole: np.ndarray,
        steps: Steps,
        axis: int | None = None,
        part: str = "weights",
    ) -> Iterator[Pair]:
        """A stored constant, with its scale and zero point where they stand in the file."""
        parameters, layer = self.file.parameters, self._named(step.name)
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
