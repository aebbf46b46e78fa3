"""What a run comes to: one exit code (DESIGN, contract 4), and what it means in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conversion.backends import REFERENCE
from conversion.core.demands import Demands
from conversion.core.measurement import (
    Concern,
    Measurement,
    Verdict,
)
from conversion.proof.metrics.quantities import BUILT

ORDER = (1, 4, 3)
"""Of several codes the first counts."""

NAMED = 3
"""Measurements that the last line names."""


@dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Attributes:
        code: the exit code.
        words: what it means here.
    """

    code: int
    words: str

    def __str__(self) -> str:
        return f"exit {self.code}: {self.words}"


def code_of(measurement: Measurement, demands: Demands) -> int:
    """The exit code that one measurement asks for, 0 where it does not matter.

    Args:
        measurement: any.
        demands: what is allowed.
    """
    concerns = measurement.concerns
    if concerns is Concern.ADVICE:
        return 0
    if measurement.verdict is Verdict.FAIL:
        return 3 if concerns in (Concern.COST, Concern.SPEED) else 1
    if measurement.verdict is not Verdict.UNDECIDED:
        return 0
    if concerns is Concern.SUITE:
        return 4
    if measurement.lacks_images or concerns is Concern.SPEED:
        asked = concerns is not Concern.SPEED or measurement.limit is not None
        return 4 if demands.require_decided and asked else 0
    return 0 if demands.allow_undecided else 4


def outcome(measurements: Sequence[Measurement], demands: Demands | None = None) -> Outcome:
    """What all measurements of a run come to.

    Args:
        measurements: all of the run's.
        demands: what is allowed; the defaults where nothing is said.
    """
    wanted = demands or Demands()
    converted = [m for m in measurements if m.artifact != REFERENCE]
    if all(m.verdict is Verdict.SKIPPED for m in converted):
        reasons = dict.fromkeys(f"{m.artifact}: {m.reason}" for m in converted)
        why = "; ".join(reasons) or "none was asked for"
        return Outcome(2, f"no converted artifact was judged: {why}")
    for code in ORDER:
        found = [m for m in measurements if code_of(m, wanted) == code]
        if found:
            return Outcome(code, f"{_meaning(code, found)}: {_named(found)}")
    return Outcome(0, "; ".join(("every check that was asked for passed", *_left(measurements))))


def exit_code(measurements: Sequence[Measurement], demands: Demands | None = None) -> int:
    """The exit code of a run.

    Args:
        measurements: all of the run's.
        demands: what is allowed; the defaults where nothing is said.
    """
    return outcome(measurements, demands).code


def _meaning(code: int, found: Iterable[Measurement]) -> str:
    if code == 1:
        prepared = all(m.concerns is Concern.PREPROCESSING for m in found)
        return "images are not prepared as in training" if prepared else "converted wrongly"
    if code == 4:
        if any(m.concerns is Concern.SUITE for m in found):
            return "a fault of this suite ended a check"
        few = all(m.lacks_images or m.concerns is Concern.SPEED for m in found)
        return "not decided, as is required" if few else "parity has too little power to decide"
    words = {Concern.COST: "costs more than allowed", Concern.SPEED: "is slower than demanded"}
    about = {m.concerns for m in found}
    said = " and ".join(text for concern, text in words.items() if concern in about)
    return f"converted rightly, but int8 {said}"


def _left(measurements: Sequence[Measurement]) -> list[str]:
    """What is undecided and may be, and what was not made, in words."""
    undecided = [
        m
        for m in measurements
        if m.verdict is Verdict.UNDECIDED and m.concerns in (Concern.CONVERSION, Concern.COST)
    ]
    images = [m for m in undecided if m.lacks_images]
    power = [m for m in undecided if not m.lacks_images]
    unmade = dict.fromkeys(m.artifact for m in measurements if m.name == BUILT.name)
    found = {
        "too few images to decide": _named(images),
        "undecided, as is allowed:": _named(power),
        "skipped:": ", ".join(unmade),
    }
    return [f"{words} {names}" for words, names in found.items() if names]


def _named(found: Sequence[Measurement]) -> str:
    """The first measurements by artifact and name, and how many more there are."""
    names = list(dict.fromkeys(f"{m.artifact} {m.name}" for m in found))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
