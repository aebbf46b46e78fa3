"""Are the scales, zero points, weights and biases of an int8 file those that they must be?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics.quantities import QUANTIZED, QUANTIZED_UNCHECKED

PARTS = ("scales", "zero_points", "weights", "biases")
"""What is compared; one measurement each."""

DISPENSABLE = ("biases",)
"""What the file of a model with weights need not have."""

LARGEST = 50
"""Rows of a measurement at most."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Values of a file beside what they must be.

    Attributes:
        part: one of `PARTS`.
        layer: the layer that they belong to; the last one of its group.
        what: what they are, in words: ``the kernel of conv2d_1``.
        found: as the file has them.
        wanted: as they must be.
        slack: how far apart they may be; 0 for what must be equal.
        why: where `wanted` comes from, in words.
        covers: arrays of the spec that are seen by it.
        exact: whether the file has those as they are.
    """

    part: str
    layer: str
    what: str
    found: np.ndarray
    wanted: np.ndarray
    slack: np.ndarray | float = 0.0
    why: str = ""
    covers: tuple[np.ndarray, ...] = ()
    exact: bool = False

    def differing(self) -> np.ndarray:
        """Which values differ; all of them where shape or dtype does."""
        found, wanted = np.asarray(self.found), np.asarray(self.wanted)
        if found.size == wanted.size == 1:
            found, wanted = found.reshape(()), wanted.reshape(())
        exact = not np.any(self.slack)
        if found.shape != wanted.shape or (exact and found.dtype != wanted.dtype):
            return np.ones(wanted.shape or (1,), bool)
        with np.errstate(invalid="ignore"):
            near = np.abs(found.astype(np.float64) - wanted) <= self.slack
        return np.atleast_1d(~near)

    def sentence(self) -> str:
        """Which value differs first, and how."""
        found, wanted = np.asarray(self.found), np.asarray(self.wanted)
        one = _ONE[self.part]
        because = f" ({self.why})" if self.why else ""
        if found.size != wanted.size or (not np.any(self.slack) and found.dtype != wanted.dtype):
            return (
                f"{_ALL[self.part]} of {self.what}: {found.dtype} {found.shape}, expected "
                f"{wanted.dtype} {wanted.shape}{because}"
            )
        if wanted.size == 1:
            return f"{one} of {self.what} is {_shown(found)}, expected {_shown(wanted)}{because}"
        if found.shape != wanted.shape:
            return f"{_ALL[self.part]} of {self.what}: {found.shape}, expected {wanted.shape}"
        wrong = self.differing()
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        at = place[0] if len(place) == 1 else place
        return (
            f"{int(wrong.sum())} of {wrong.size} {_MANY[self.part]} of {self.what} differ, the "
            f"first at {at} is {_shown(found[place])}, expected {_shown(wanted[place])}{because}"
        )


def parameters(
    about: About,
    order: Sequence[str],
    pairs: Iterable[Pair],
    unchecked: Sequence[str],
    remark: str = "",
    dispensable: Sequence[str] = DISPENSABLE,
    settled: Sequence[str] = (),
) -> list[Measurement]:
    """Every parameter of a file beside what it must be.

    Args:
        about: what is measured.
        order: the layers in the spec's order.
        pairs: what was compared.
        unchecked: parameters of the file that nothing was compared with, in words.
        remark: what could not be compared at all, for the reason.
        dispensable: parts of which a file may have none.
        settled: layers whose weights could not be compared and that give what they should.
    """
    given = f"judged by what they give: {', '.join(settled)}" if settled else ""
    listed = list(pairs)
    rank = {name: index for index, name in enumerate(order)}
    measured = [
        _part(
            about,
            rank,
            part,
            [p for p in listed if p.part == part],
            remark if part in ("scales", "zero_points") else given,  # it is about activations
            part in dispensable,
        )
        for part in PARTS
    ]
    named = ", ".join((*unchecked[:4], *["..."] * (len(unchecked) > 4)))
    rows = tuple({"unchecked": each} for each in unchecked[:LARGEST])
    return [*measured, about.measure(QUANTIZED_UNCHECKED, len(unchecked), named, rows=rows)]


def _part(
    about: About,
    rank: Mapping[str, int],
    part: str,
    pairs: Sequence[Pair],
    remark: str,
    dispensable: bool,
) -> Measurement:
    wrong = [pair for pair in pairs if pair.differing().any()]
    wrong.sort(key=lambda pair: rank.get(pair.layer, len(rank)))
    count = sum(int(pair.differing().sum()) for pair in wrong)
    missing = "" if pairs else f"the file has no {_ALL[part]} that could be compared"
    sentence = wrong[0].sentence() if wrong else ""
    others = dict.fromkeys(pair.what for pair in wrong[1:])
    more = f"{len(others)} more places differ" if others else ""
    reason = "; ".join(filter(None, (missing, sentence, more, remark)))
    found = Verdict.FAIL if wrong or (missing and not dispensable) else Verdict.PASS
    return about.measure(
        QUANTIZED[part],
        None if missing else count,
        reason,
        verdict=Verdict.SKIPPED if missing and dispensable else found,
        limit=0,
        layer=wrong[0].layer if wrong else None,
        n=sum(np.size(pair.wanted) for pair in pairs),
        rows=tuple(_row(pair) for pair in wrong[:LARGEST]),
    )


def _row(pair: Pair) -> dict[str, Any]:
    wrong = pair.differing()
    return {
        "layer": pair.layer,
        "what": pair.what,
        "differ": int(wrong.sum()),
        "of": int(wrong.size),
        "first": pair.sentence(),
    }


def _shown(value: np.ndarray) -> str:
    plain = np.asarray(value).item()
    return str(plain) if isinstance(plain, int) else f"{plain:.9g}"


_ALL = {
    "scales": "scales",
    "zero_points": "zero points",
    "weights": "weights",
    "biases": "biases",
}
_MANY = {**_ALL, "weights": "values", "biases": "values"}
_ONE = {"scales": "scale", "zero_points": "zero point", "weights": "weight", "biases": "bias"}
