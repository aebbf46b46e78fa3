"""Are the ranges that a calibration recorded those that its images give?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.proof.metrics import limits
from conversion.proof.metrics.int8 import Steps, of_range
from conversion.proof.metrics.quantities import RANGES, RANGES_CUT, RANGES_EXCESS, RANGES_FIT
from conversion.proof.metrics.sqnr import sqnr

HANDFUL = 5
"""Values of a tensor that do not count: of 1,200 logits one alone would be a share of 8e-4."""
STEPS = 255
"""Of eight bits."""
NAMED = 3
"""Further layers that a reason names."""


@dataclass(frozen=True)
class Recorded:
    """The range that a calibration recorded for a tensor, beside what the reference gives.

    Attributes:
        tensor: its name in the file.
        layer: the layer whose value it is.
        range: recorded, lowest and highest value.
        wanted: of the reference, over the images drawn again.
        cut: how many of the reference's values lie past the recorded range by more than a
            step.
        size: how many values there are.
    """

    tensor: str
    layer: str
    range: tuple[float, float]
    wanted: tuple[float, float]
    cut: int = 0
    size: int = 1

    @property
    def level(self) -> float:
        """The size of what is compared."""
        low, high = self.wanted
        return max(abs(low), abs(high), high - low) or 1.0

    @property
    def deviation(self) -> float:
        """How far either end is from the reference's."""
        pairs = zip(self.range, self.wanted, strict=True)
        return float(np.max([abs(ours - theirs) for ours, theirs in pairs])) / self.level

    @property
    def excess(self) -> float:
        """How far the range reaches past the reference's, at either end."""
        past = (self.wanted[0] - self.range[0], self.range[1] - self.wanted[1], 0)
        return float(np.max(past)) / self.level

    @property
    def beyond(self) -> float:
        """The share of values that are cut off, but for those that any histogram may lose.

        That is a handful, and as many as cost less than rounding does: cutting them makes the steps
        of all others finer, and both together are what a histogram weighs.
        """
        step = (self.range[1] - self.range[0]) / STEPS
        past = max(self.range[0] - self.wanted[0], self.wanted[1] - self.range[1], 0.0)
        few = self.cut * past**2 <= self.size * step**2 / 12
        return 0.0 if few else max(self.cut - HANDFUL, 0) / self.size

    def words(self) -> str:
        """Both ranges in words."""
        ours, theirs = (f"[{low:.4g}, {high:.4g}]" for low, high in (self.range, self.wanted))
        return f"range of {self.layer} is {ours}; the calibration images give {theirs}"


@dataclass(frozen=True, eq=False)
class Fitting:
    """A layer's values beside the steps that an external file has for them.

    Attributes:
        layer: its name.
        is_input: whether it is an input of the model.
        steps: the file's scale and zero point.
        exact: what the layer should give, ``(N, ...)``.
    """

    layer: str
    is_input: bool
    steps: Steps
    exact: np.ndarray

    @cached_property
    def range(self) -> tuple[float, float]:
        """What the file's integers reach."""
        ends = np.iinfo(self.steps.zero_point.dtype)
        scale, zero = float(self.steps.scale), int(self.steps.zero_point)
        return (ends.min - zero) * scale, (ends.max - zero) * scale

    @cached_property
    def beyond(self) -> float:
        """The share of the values that lie past the range by more than half a step."""
        low, high = self.range
        half = float(self.steps.scale) / 2
        return float(((self.exact < low - half) | (self.exact > high + half)).mean())

    @cached_property
    def left(self) -> float:
        """SQNR of the values once they are rounded in the file's steps, in dB."""
        scale, zero = float(self.steps.scale), int(self.steps.zero_point)
        whole = np.rint(np.clip(self.exact, *self.range) / scale + zero) - zero
        return sqnr(self.exact, whole * scale)

    @cached_property
    def least(self) -> float:
        """What must be left: `SQNR`, or less where steps that fit these values leave less."""
        kind = str(self.steps.zero_point.dtype)
        fitting = of_range(float(self.exact.min()), float(self.exact.max()), kind)
        best = replace(self, steps=fitting).left
        return min(limits.SQNR.value, best + limits.IDEAL.value)

    def words(self) -> str:
        """What is wrong with the range."""
        scale, (low, high) = float(self.steps.scale), self.range
        least, most = float(self.exact.min()), float(self.exact.max())
        if self.is_input:
            cut = f"{self.beyond:.1%} of what it is given lies beyond; "
            return (
                f"the input's quantization: scale {scale:.5g}, zero point "
                f"{int(self.steps.zero_point)}, values from {low:.4g} to {high:.4g}; "
                f"{cut if self.beyond else ''}calibrated on other preprocessing"
            )
        return (
            f"range of {self.layer} is [{low:.4g}, {high:.4g}]; here it has values from "
            f"{least:.4g} to {most:.4g}, {self.beyond:.1%} of them beyond"
        )


def fitting_ranges(about: About, found: Sequence[Fitting], n: int) -> Measurement:
    """The layer that loses most by the ranges of an external file; the first that loses too much.

    Args:
        about: what is measured.
        found: every layer whose scale the file has, in the spec's order; at least one.
        n: images.
    """
    low = [each for each in found if each.left < each.least]
    shown = low[0] if low else min(found, key=lambda each: each.left - each.least)
    return about.measure(
        RANGES_FIT,
        shown.left,
        shown.words() if low else "",
        limit=shown.least,
        layer=shown.layer,
        n=n,
        rows=tuple(
            {
                "layer": each.layer,
                "range": each.range,
                "beyond": each.beyond,
                "left, dB": each.left,
            }
            for each in found
        ),
    )


def exact_ranges(
    about: About,
    found: Sequence[Recorded],
    limit: float,
    n: int,
    missed: Sequence[str] = (),
    what: Quantity = RANGES,
) -> Measurement:
    """Ranges are the reference's own, at both ends.

    Args:
        about: what is measured.
        found: every tensor that is a layer's value, in the spec's order.
        limit: the largest deviation, as part of the level.
        n: calibration images.
        missed: tensors that are no layer's value.
        what: what is measured.
    """
    return _ranges(about, what, found, [each.deviation for each in found], limit, n, missed)


def fitted_ranges(
    about: About,
    found: Sequence[Recorded],
    limit: float,
    n: int,
    missed: Sequence[str] = (),
) -> list[Measurement]:
    """Ranges that a histogram chose lie within the reference's and leave few values out.

    Args:
        about: what is measured.
        found: every tensor that is a layer's value, in the spec's order.
        limit: how far a range may reach past the reference's, as part of the level.
        n: calibration images.
        missed: tensors that are no layer's value.
    """
    cut, most = [each.beyond for each in found], limits.RANGE_CUT.value
    excess = [each.excess for each in found]
    return [
        _ranges(about, RANGES_CUT, found, cut, most, n, missed),
        _ranges(about, RANGES_EXCESS, found, excess, limit, n, missed),
    ]


def _ranges(
    about: About,
    what: Quantity,
    found: Sequence[Recorded],
    values: Sequence[float],
    most: float,
    n: int,
    missed: Sequence[str],
) -> Measurement:
    """The first tensor beyond the limit, else the worst of all."""
    if not found:
        reason = "no recorded range belongs to a layer that the reference has"
        return about.measure(what, reason=reason, verdict=Verdict.UNDECIDED)
    beyond = [index for index, value in enumerate(values) if not value <= most]
    shown = beyond[0] if beyond else int(np.argmax(values))
    reason = f"{len(missed)} inside a layer not compared: {', '.join(missed)}" if missed else ""
    if beyond:
        others = list(dict.fromkeys(found[index].layer for index in beyond[1:]))
        more = f"; so are those of {len(others)} more: {', '.join(others[:NAMED])}"
        reason = found[shown].words() + (more if others else "")
    return about.measure(
        what,
        values[shown],
        reason,
        limit=most,
        layer=found[shown].layer,
        n=n,
        rows=tuple(
            {"layer": each.layer, "tensor": each.tensor, "range": each.range, "value": value}
            for each, value in zip(found, values, strict=True)
        ),
    )
