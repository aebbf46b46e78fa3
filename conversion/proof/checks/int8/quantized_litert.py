"""The parameters of an int8 LiteRT file, as the spec and LiteRT's own specification ask for them.

What a calibration gives, the scales of activations with a range of their own, `ranges` compares.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from conversion.proof.checks.int8.kernel_content import Found, slack_of
from conversion.proof.checks.int8.litert_scales import CALIBRATED, CHOOSING, FIXED, SAME
from conversion.proof.checks.int8.seen import Seen
from conversion.proof.checks.int8.stored_weights import Bias, Weights
from conversion.proof.metrics.int8 import Steps
from conversion.proof.metrics.limits import FOLDED
from conversion.proof.metrics.quantized import Pair
from conversion.proof.taps.network import Computed

LARGEST = 127
"""Of a kernel's integers: -128 is not used (LiteRT's 8-bit quantization specification)."""

LEAST, LARGEST_BIAS = 5e-7, 2.0**30
"""The scale of a dead channel's kernel: as if its weights reached 5e-7, or what keeps the bias in
range (measured: 971 channels of MLPerf Tiny's person detection model have one of the two)."""


class Parameters:
    """What an int8 LiteRT file holds beside what it must hold."""

    def __init__(
        self, seen: Seen, external: bool, chosen: Collection[str], partly: Collection[str]
    ) -> None:
        """Look at a file.

        Args:
            seen: its layers.
            external: whether the file is external: then a kernel may have any scale that does not
                clip, and layers may be in float.
            chosen: layers that are in float by choice, or for want of an integer kernel.
            partly: layers of which a step may be in float.
        """
        self._external, self._chosen = external, set(chosen)
        self._in_float = {*partly, *chosen, *(seen.in_float if external else ())}
        self.owners, self.network = seen.owners, seen.network
        self.weights = Weights(seen, self._scales)

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        outputs = (p for each in self.network.tensors for p in self._output(each))
        return [*self.weights.pairs(), *outputs]

    def unchecked(self) -> list[str]:
        """Kernels of the spec that nothing was compared with, and values that are not integers."""
        floats = [
            f"{self._words(each)}, which has no scale"
            for each in self.network.tensors
            if each.steps is None and each.reads and self._known(each) and not self._moves_on(each)
        ]
        return [*self.weights.lost, *floats]

    def _known(self, each: Computed) -> bool:
        """Whether the output of an operator must be integers."""
        known = each.kind in (*CALIBRATED, *CHOOSING, *FIXED["int8"], *SAME)
        return known and self._in_float.isdisjoint(self.owners.around(each.name))

    def _moves_on(self, each: Computed) -> bool:
        return each.moves and self.network.of(each.reads[0]).steps is None

    def _words(self, each: Computed) -> str:
        layer = self.owners.of(each.name)
        if layer and self.owners.is_output(each.name):
            return f"the output of {layer}"
        return f"the {each.kind} of {layer}" if layer else f"a {each.kind} of no layer"

    def _scales(self, found: Found, bias: Bias | None) -> Iterator[Pair]:
        """Scales and zero point of a kernel, and the scale of the bias beside it."""
        words = found.wanted.what
        owner = self.owners.of(found.step.name) or found.wanted.layer
        steps = found.constant.steps
        if steps is None:
            if not self._external and found.wanted.layer not in self._chosen:
                self.weights.lost.append(
                    f"kernel of {found.wanted.layer}, which was not found in eight bits"
                )
            return
        if not self._external and found.wanted.layer in self._chosen:
            kernel = found.wanted.kernel
            slack = slack_of(kernel, np.zeros(kernel.shape))
            yield Pair("weights", owner, words, found.real, kernel, slack, "the spec's, in float")
        stored = steps.scale.reshape(-1)
        read = self.network.of(found.step.reads[0]).steps
        if self._external:
            good = np.where(np.isfinite(stored) & (stored > 0), stored, np.nan)
            yield Pair("scales", owner, words, stored, good.astype(np.float32), why="finite")
        else:
            yield from self._own(owner, found, steps, bias, 1.0 if read is None else read.scale)
        if bias is not None and bias.scale is not None and read is not None and bias.at_kernel:
            product = read.scale.astype(np.float64) * stored
            why = "scale of the input times that of the kernel"
            what, given = words.replace("kernel", "bias"), bias.scale.reshape(-1)
            yield Pair("scales", owner, what, given, product, rounding(product), why)

    def _own(
        self, owner: str, found: Found, steps: Steps, bias: Bias | None, read: np.ndarray | float
    ) -> Iterator[Pair]:
        """What TensorFlow's converter makes of a kernel."""
        kernel, words = found.wanted.kernel, found.wanted.what
        others = tuple(i for i in range(kernel.ndim) if i != found.wanted.axis)
        scale = np.maximum(np.abs(kernel).max(axis=others), LEAST) / LARGEST
        if bias is not None and bias.at_kernel:
            # The file's, which `biases` compares, may have an activation's constant in it too.
            added = np.maximum(np.abs(found.wanted.rest.offset), np.abs(bias.real))
            scale = np.maximum(scale, added / (read * LARGEST_BIAS))
        why = f"{LARGEST} steps are the largest weight of each channel"
        yield Pair("scales", owner, words, steps.scale.reshape(-1), scale, rounding(scale), why)
        zeros = np.zeros_like(steps.zero_point)
        yield Pair("zero_points", owner, words, steps.zero_point, zeros, why="symmetric")

    def _output(self, each: Computed) -> Iterator[Pair]:
        """Scales and zero points of values that are not the calibration's to choose."""
        out = each.steps
        if out is None or not each.reads:
            return
        fixed = FIXED.get(out.zero_point.dtype.name, {}).get(each.kind)
        if fixed is not None:
            scale, zero = np.float32(fixed[0]), np.asarray(fixed[1], out.zero_point.dtype)
            given, why = [Steps(np.asarray(scale), zero)], f"fixed for {each.kind}"
        elif each.kind in SAME:
            given = [s for name in each.reads if (s := self.network.of(name).steps) is not None]
            why = "that of what it reads"
        else:
            return
        layer, words = self.owners.of(each.name), self._words(each)
        for steps in given:
            yield Pair("scales", layer, words, out.scale, steps.scale, why=why)
            yield Pair("zero_points", layer, words, out.zero_point, steps.zero_point, why=why)


def rounding(scale: np.ndarray) -> np.ndarray:
    """How far a scale may be from a product of several factors, each rounded once."""
    return np.asarray(FOLDED.value * np.spacing(scale.astype(np.float32)).astype(np.float64))
