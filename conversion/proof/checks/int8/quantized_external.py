"""The parameters of an int8 ONNX external file: near the spec, and one with another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conversion.core.spec import Layer
from conversion.proof.checks.int8.quantized_graph import Laid
from conversion.proof.metrics import folding, int8
from conversion.proof.metrics.int8 import Steps
from conversion.proof.metrics.limits import STEP
from conversion.proof.metrics.quantized import Pair
from conversion.proof.taps.graph import Operation
from conversion.proof.taps.kernels import kernel
from conversion.proof.taps.onnx_parameters import Slot, Stored
from conversion.proof.taps.stages import is_affine

STEPS = f"within {STEP.value:g} steps of the spec's"


class Nearby:
    """Every parameter of an int8 file of which only the spec is known."""

    def __init__(self, file: Laid) -> None:
        self.file = file
        self._visited: set[str] = set()
        self._compared: set[str] = set()

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        constants = [p for each in self.file.graph.operations for p in self._constants(each)]
        return [*self._activations(), *constants]

    def unchecked(self) -> list[str]:
        """What nothing was compared with: parameters of the file, and kernels of the spec."""
        return [*self.file.parameters.unvisited(self._visited), *self._lost()]

    def _lost(self) -> Iterator[str]:
        for layer in self.file.spec.layers:
            if "kernel" in layer.weights and layer.name not in self._compared:
                yield f"kernel of {layer.name}, which was not found"

    def _activations(self) -> Iterator[Pair]:
        """Whoever reads a tensor reads it with the scale with which it was written."""
        parameters, first = self.file.parameters, dict[str, Steps]()
        for slot in parameters.slots:
            steps = parameters.steps(slot)
            if slot.value in parameters.constants or steps is None:
                continue
            wanted = first.setdefault(slot.value, Steps(_finite(steps[0]), steps[1]))
            layer, words = self.file.named(self.file.root(slot.value)), self.file.words(slot)
            why = "finite" if wanted.scale is steps[0] else "as it was written"
            self._visited |= {slot.scale, slot.zero}
            yield Pair("scales", layer, words, steps[0], wanted.scale, why=why)
            yield Pair("zero_points", layer, words, steps[1], wanted.zero_point, why=why)

    def _constants(self, operation: Operation) -> Iterator[Pair]:
        """Weights within half a step of the spec's, with what follows folded in."""
        parameters, name = self.file.parameters, self.file.layer.get(operation.writes)
        layer = None if name is None else self.file.spec.layer(name)
        stored = parameters.kernel(operation.writes)
        if layer is None or stored is None or "kernel" not in layer.weights:
            return
        whole, rest = self._folded(layer)
        axis = parameters.channel_axis(operation.writes)
        if layer.kind == "Dense" and axis == 0:
            whole = whole.T
        steps = None if stored.slot is None else parameters.steps(stored.slot)
        if steps is None:
            return
        self._compared.add(layer.name)
        words = f"the kernel of {name}"
        yield from self._near(operation, words, stored, whole, steps, axis, "weights")
        bias, read = parameters.bias(operation.writes), self._read_scale(operation)
        if bias is None:
            return
        pair = None if bias.slot is None else parameters.steps(bias.slot)
        if pair is None and read is not None:  # QOperator format: the scale goes without saying
            pair = int8.bias_scale(read, steps[0]), np.zeros(steps[0].shape, np.int32)
        if pair is not None:
            total = np.broadcast_to(rest.offset, len(parameters.constants[bias.name]))
            yield from self._near(operation, f"the bias of {name}", bias, total, pair, 0, "biases")

    def _near(
        self,
        operation: Operation,
        words: str,
        stored: Stored,
        whole: np.ndarray,
        steps: tuple[np.ndarray, np.ndarray],
        axis: int,
        part: str,
    ) -> Iterator[Pair]:
        """What stored integers stand for beside the spec's weights."""
        owner, slot = self.file.owner[operation.writes], stored.slot
        found = self.file.parameters.constants[stored.name]
        if slot is not None:
            self._visited |= {slot.scale, slot.zero}
            yield Pair("scales", owner, words, steps[0], _finite(steps[0]), why="finite")
            axis = _stated(slot, axis, found.ndim)
        self._visited.add(stored.name)
        try:
            real = int8.reals(found, Steps(*steps), axis)
            unit = folding.along(np.broadcast_to(steps[0], steps[0].shape), found.ndim, axis)
            slack = np.broadcast_to(STEP.value * unit.astype(np.float64), whole.shape)
        except ValueError:  # another shape, or not one scale a channel
            real, slack = np.full(whole.shape, np.nan), np.ones(whole.shape)
        if real.shape != whole.shape:
            real = np.full(whole.shape, np.nan)
        yield Pair(part, owner, words, real, whole, slack, STEPS)

    def _folded(self, layer: Layer) -> tuple[np.ndarray, folding.Affine]:
        group = self.file.alignment.places[layer.name].group
        after = [self.file.spec.layer(n) for n in group[group.index(layer.name) + 1 :]]
        stored = kernel(layer)
        axis = 0 if stored.ndim > 2 else stored.ndim - 1
        chain = [each for each in after if is_affine(each)]
        return folding.folded(stored, layer.weights.get("bias"), chain, axis)

    def _read_scale(self, operation: Operation) -> np.ndarray | None:
        slots = (s for s in self.file.parameters.slots if s.node == operation.writes)
        found = next((self.file.parameters.steps(s) for s in slots if not s.writes), None)
        return None if found is None else found[0]


def _stated(slot: Slot, axis: int, rank: int) -> int:
    """The axis that a DequantizeLinear states, else the operator's own."""
    if slot.axis is None:
        return axis
    return slot.axis if -rank <= slot.axis < rank else 0


def _finite(scale: np.ndarray) -> np.ndarray:
    """The scale itself where it can be one, else NaN, which nothing equals."""
    good = np.isfinite(scale) & (scale > 0)
    if good.all():
        return scale
    found: np.ndarray = np.where(good, scale, np.nan).astype(scale.dtype)
    return found
