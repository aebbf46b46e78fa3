"""What an int8 file holds of a spec's weights, whoever made it and whatever format it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from conversion.core.spec import Layer
from conversion.proof.checks.int8.kernel_content import MOST, Found, near_of, slack_of, units
from conversion.proof.checks.int8.seen import Seen
from conversion.proof.metrics.quantized import Pair
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.network import Computed, Constant

NEAR = "within half a step of the spec's"


@dataclass(frozen=True, eq=False)
class Bias:
    """What is added after a kernel.

    Attributes:
        constant: the array.
        real: what is stored, ``(C,)``; one number where there is one for all.
        unit: the step of each.
        scale: of its integers as the file states it; None where it does not.
        at_kernel: whether the step that multiplies adds it too.
    """

    constant: Constant
    real: np.ndarray
    unit: np.ndarray
    scale: np.ndarray | None
    at_kernel: bool


Scales = Callable[[Found, "Bias | None"], Iterator[Pair]]
"""What a scheme says of the scales of a kernel and of the bias beside it."""


@dataclass(eq=False)
class Weights:
    """The kernels and biases of a file beside those of a spec.

    Attributes:
        seen: the layers in the file.
        scales: what the scheme says of the scales.
        visited: names of the arrays that were compared.
        lost: what of the spec was not found, in words.
        settled: the layers that could not be compared and give what they should.
    """

    seen: Seen
    scales: Scales
    visited: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        found = [
            pair
            for layer in self.seen.spec.layers
            if kernels(layer)
            for pair in self._of_layer(layer, self.seen.kernels.found(layer))
        ]
        self.settled = list(dict.fromkeys(self.settled))
        return found

    def _of_layer(self, layer: Layer, found: list[Found | None]) -> Iterator[Pair]:
        for each in found:
            if each is not None and (each.is_located or not self.seen.behaves(layer.name)):
                yield from self._compared(each)
            else:
                self._settle(layer.name, each)

    def _settle(self, layer: str, found: Found | None) -> None:
        """Leave a layer to what it gives, where that is what it should give."""
        if found is not None:
            self.visited.add(found.constant.name)
        self._missing(layer, f"kernel of {layer}, which was not found")

    def _compared(self, found: Found) -> Iterator[Pair]:
        wanted, owner = found.wanted, self.seen.owners.of(found.step.name) or found.wanted.layer
        self.visited.add(found.constant.name)
        what, slack, covers = wanted.what, found.slack, wanted.covers
        yield Pair("weights", owner, what, found.real, wanted.kernel, slack, NEAR, covers)
        bias = self._bias(found)
        yield from self.scales(found, bias)
        words = wanted.what.replace("kernel", "bias")
        if bias is None:
            if np.any(wanted.rest.offset):
                self._missing(wanted.layer, f"{words}, which was not found")
            return
        self.visited.add(bias.constant.name)
        # An activation may begin with adding a constant, which the kernel does not show.
        options = (each.rest for each in (wanted, *found.alike))
        rest = min(options, key=lambda each: float(np.abs(bias.real - each.offset).sum()))
        value = np.broadcast_to(rest.offset, bias.real.shape)
        slack = slack_of(value, bias.unit, np.broadcast_to(rest.terms, value.shape))
        away = np.abs(bias.real - value)
        is_near = (away <= near_of(value, bias.unit)).mean() > MOST
        if not is_near and self.seen.behaves(wanted.layer):
            self.settled.append(wanted.layer)
            return
        own = self.seen.spec.layer(wanted.layer).weights.get("bias")
        covers = () if own is None else (own,)
        yield Pair("biases", owner, words, bias.real, value, slack, NEAR, covers)

    def _missing(self, layer: str, words: str) -> None:
        if self.seen.behaves(layer):
            self.settled.append(layer)
        else:
            self.lost.append(words)

    def _bias(self, found: Found) -> Bias | None:
        """What is added where the kernel is, else in a later step of the same layer.

        A dilated convolution of LiteRT has zeros at the kernel and its bias behind. A small bias
        can be taken for part of the next layer.
        """
        step, owners = found.step, self.seen.owners
        later = [
            each
            for each in owners.parts.get(owners.of(step.name), ())
            if owners.network.position[each.name] > owners.network.position[step.name]
            and "add" in each.kind
        ]
        later += [each for each in self._following(step) if "add" in each.kind][:1]
        sizes = {found.wanted.kernel.shape[found.wanted.axis]}
        if any(_is_one_number(each.rest.offset) for each in (found.wanted, *found.alike)):
            sizes.add(1)
        added = (
            self._read(constant, found, each is step)
            for each in (step, *later)
            for constant in each.constants
            if constant is not found.constant and int(np.prod(constant.shape)) in sizes
        )
        first = next(added, None)
        if first is None or first.real.any() or not np.any(found.wanted.rest.offset):
            return first
        return next((each for each in added if each.real.any()), first)

    def _following(self, step: Computed) -> Iterator[Computed]:
        """The next step that does not only move or round what a step gives, where it is one."""
        read_by = self.seen.network.readers.get(step.name, ())
        while len(read_by) == 1 and read_by[0].moves:
            read_by = self.seen.network.readers.get(read_by[0].name, ())
        if len(read_by) == 1:
            yield read_by[0]

    def _read(self, constant: Constant, found: Found, at_kernel: bool) -> Bias:
        stored = constant.stored()
        if constant.steps is not None or stored.dtype.kind == "f":
            scale = None if constant.steps is None else constant.steps.scale
            real, unit = (each.reshape(-1) for each in (constant.real(), units(constant)))
            return Bias(constant, real, unit, scale, at_kernel)
        # the scale goes without saying: that of what is read times that of the kernel
        read = self.seen.network.of(found.step.reads[0]).steps
        assert found.constant.steps is not None
        product = np.asarray(found.constant.steps.scale, np.float64).reshape(-1)
        product = product * (1.0 if read is None else float(read.scale))
        unit = np.broadcast_to(product, (stored.size,))
        return Bias(constant, stored.reshape(-1) * unit, unit, None, at_kernel)


def _is_one_number(offset: np.ndarray) -> bool:
    """Whether all channels get the same, which a converter may store once.

    Another single number behind a kernel is a constant of its activation, as sparse plus adds 1.
    """
    return bool(np.any(offset)) and float(np.ptp(offset)) == 0
