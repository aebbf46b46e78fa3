"""The parameters of an int8 ONNX external file: near the spec, and one with another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conversion.backends.onnx_nodes import is_value
from conversion.proof.checks.int8.kernel_content import Found
from conversion.proof.checks.int8.quantized_graph import Laid
from conversion.proof.checks.int8.seen import Seen
from conversion.proof.checks.int8.stored_weights import Bias, Weights
from conversion.proof.metrics.int8 import Steps
from conversion.proof.metrics.quantized import Pair
from conversion.proof.taps.onnx_parameters import Slot


class Nearby:
    """Every parameter of an int8 file of which only the spec is known."""

    def __init__(self, file: Laid, seen: Seen) -> None:
        """Look at a file.

        Args:
            file: its graph.
            seen: its layers.
        """
        self.file, self.seen, self.owners = file, seen, seen.owners
        self.weights = Weights(seen, self._scales)
        self._visited: set[str] = set()

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        found = [*self._activations(), *self.weights.pairs()]
        self._visited |= self.weights.visited | self._behaving()
        for node in self.file.parameters.nodes.values():
            if self._visited.intersection(node.input):
                beside = enumerate(node.input)
                self._visited |= {name for i, name in beside if not is_value(node.op_type, i)}
        return found

    def unchecked(self) -> list[str]:
        """What nothing was compared with: parameters of the file, and kernels of the spec."""
        read = {name for node in self.file.parameters.nodes.values() for name in node.input}
        left = self.file.parameters.unvisited(self._visited)
        return [*(name for name in left if name in read), *self.weights.lost]

    def _behaving(self) -> set[str]:
        """What is stored in steps of layers that give what they should, beside kernels."""
        return {
            constant.name
            for step in self.file.network.tensors
            for constant in step.constants
            if (layer := self.owners.of(step.name)) and self.seen.behaves(layer)
        }

    def _activations(self) -> Iterator[Pair]:
        """Whoever reads a tensor reads it with the scale with which it was written."""
        parameters, first = self.file.parameters, dict[str, Steps]()
        for slot in parameters.slots:
            steps = parameters.steps(slot)
            if slot.value in parameters.constants or steps is None:
                continue
            wanted = first.setdefault(slot.value, Steps(_finite(steps[0]), steps[1]))
            layer, words = self._named(slot.value), self._words(slot)
            why = "finite" if wanted.scale is steps[0] else "as it was written"
            self._visited |= {slot.scale, slot.zero}
            yield Pair("scales", layer, words, steps[0], wanted.scale, why=why)
            yield Pair("zero_points", layer, words, steps[1], wanted.zero_point, why=why)

    def _named(self, tensor: str) -> str:
        known = tensor in self.file.network.position
        return (self.owners.of(tensor) if known else "") or tensor

    def _words(self, slot: Slot) -> str:
        """Whose scale and zero point a place names, and where it stands."""
        layer = self._named(slot.value)
        inside = slot.value in self.file.network.position and not self.owners.is_output(slot.value)
        whose = f"the {'sums' if inside else 'output'} of {layer}"
        if self.file.step(self.file.root(slot.value)) is None:
            whose = f"the input {layer}"
        if slot.writes:
            return whose
        reader = self.owners.layer(slot.node) or self.file.parameters.nodes[slot.node].op_type
        return f"{whose} as {reader} reads it"

    def _scales(self, found: Found, bias: Bias | None) -> Iterator[Pair]:
        """A scale may be any that does not clip, which the weights show."""
        steps = found.constant.steps
        if steps is not None:
            owner = self.owners.of(found.step.name) or found.wanted.layer
            what, finite = found.wanted.what, _finite(steps.scale)
            yield Pair("scales", owner, what, steps.scale, finite, why="finite")


def _finite(scale: np.ndarray) -> np.ndarray:
    """The scale itself where it can be one, else NaN, which nothing equals."""
    good = np.isfinite(scale) & (scale > 0)
    if good.all():
        return scale
    found: np.ndarray = np.where(good, scale, np.nan).astype(scale.dtype)
    return found
