"""What a list of measurements comes to: one row an artifact, one verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conversion.core.measurement import (
    Concern,
    Measurement,
    Verdict,
)
from conversion.proof.metrics.quantities import BUILT, FAULTS_VISIBLE

HEADERS = (
    "artifact",
    "parity, x noise",
    "top-1, change in points",
    "latency ms, speed-up",
    "size, KB",
    "memory, MB",
    "verdict",
)
PARITY = ("output_error_pooled", "output_error_channel", "output_error_image")
ACCURACY = ("top1_correct", "top1_change", "top1_non_inferiority")
LATENCY = ("latency_batch_1", "latency_ratio_batch_1")
MISSING = ("-",)
NOT_CHECKED = "not checked"
SLOWER = "slower"

Cell = tuple[str, ...]
"""The parts of a cell, which a table may align one by one."""


@dataclass(frozen=True)
class Row:
    """What is shown of one artifact.

    Attributes:
        cells: one for every one of `HEADERS`.
        verdict: over all of its measurements; None where there are none.
    """

    cells: tuple[Cell, ...]
    verdict: Verdict | None


def counts(measurements: Iterable[Measurement]) -> Counter[Verdict]:
    """How many measurements have each verdict."""
    return Counter(measurement.verdict for measurement in measurements)


def counted(measurements: Iterable[Measurement]) -> str:
    """The same in words, such as ``118 passed, 2 skipped``."""
    words = {
        Verdict.PASS: "passed",
        Verdict.FAIL: "failed",
        Verdict.UNDECIDED: "undecided",
        Verdict.SKIPPED: "skipped",
    }
    found = counts(measurements)
    shown = (f"{found[verdict]} {word}" for verdict, word in words.items() if found[verdict])
    return ", ".join(shown) or "nothing measured"


def is_open(measurement: Measurement) -> bool:
    """Whether it is undecided where a verdict was asked for."""
    asked = measurement.limit is not None if measurement.concerns is Concern.SPEED else True
    asked = asked and measurement.concerns is not Concern.ADVICE
    return measurement.verdict is Verdict.UNDECIDED and asked


def overall(measurements: Sequence[Measurement]) -> Verdict:
    """The worst verdict; a pass needs something that passed, a skip that nothing was measured.

    Args:
        measurements: any number, of any topics. Undecided latency does not count against a pass.

    Returns:
        The verdict; ``skipped`` for an empty list.
    """
    found = counts(measurements)
    if found[Verdict.FAIL]:
        return Verdict.FAIL
    if any(is_open(measurement) for measurement in measurements):
        return Verdict.UNDECIDED
    if found[Verdict.PASS]:
        return Verdict.PASS
    return Verdict.UNDECIDED if found[Verdict.UNDECIDED] else Verdict.SKIPPED


def word(measurements: Sequence[Measurement]) -> str:
    """The worst verdict as a reader is told it; of failures a wrong conversion goes first."""
    verdict = overall(measurements)
    words = [m.word for m in measurements if m.verdict is Verdict.FAIL] or [str(verdict)]
    return str(verdict) if verdict in words else words[0]


def attention(measurements: Sequence[Measurement]) -> list[Measurement]:
    """The measurements that did not pass, failures first, advice last."""
    advice = [m for m in measurements if m.concerns is Concern.ADVICE]
    return [
        *(m for m in measurements if m.verdict is Verdict.FAIL),
        *(m for m in measurements if is_open(m)),
        *(m for m in advice if m.verdict is Verdict.UNDECIDED),
    ]


def skips(measurements: Iterable[Measurement]) -> list[str]:
    """What was skipped and why: artifacts that were not made by name, the rest in numbers."""
    unmade: dict[str, list[str]] = {}
    others = Counter[str]()
    for m in measurements:
        if m.verdict is Verdict.SKIPPED and m.name == BUILT.name:
            unmade.setdefault(m.reason, []).append(m.artifact)
        elif m.verdict is Verdict.SKIPPED:
            others[m.reason or "no reason given"] += 1
    return [
        *(f"skipped: {', '.join(names)}: {reason}" for reason, names in unmade.items()),
        *(f"skipped {count}: {reason}" for reason, count in others.items()),
    ]


def visible(measurements: Iterable[Measurement]) -> list[str]:
    """How many standard faults would be seen in each artifact, where parity is decided by it."""
    return [
        m.reason
        for m in measurements
        if m.name == FAULTS_VISIBLE.name and m.verdict is Verdict.PASS
    ]


def kept(measurements: Iterable[Measurement]) -> list[str]:
    """The artifacts with predictions that an earlier run made."""
    return list(dict.fromkeys(m.artifact for m in measurements if m.cached))


def rows(measurements: Sequence[Measurement], sizes: Mapping[str, int]) -> list[Row]:
    """One row an artifact, in the order in which they are first met.

    Args:
        measurements: of one subject, or of several; then a row's label names its subject too.
        sizes: bytes by the row's label. One without a measurement has a row that says so.

    Returns:
        The rows.
    """
    several = len({measurement.subject for measurement in measurements}) > 1
    groups: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        label = measurement.artifact + (f" ({measurement.subject})" if several else "")
        groups.setdefault(label, []).append(measurement)
    for label in sizes:
        groups.setdefault(label, [])
    return [_row(label, group, sizes.get(label)) for label, group in groups.items()]


def _row(label: str, group: list[Measurement], size: int | None) -> Row:
    cells = (
        (label,),
        _parity(_named(group, PARITY)),
        _accuracy(_named(group, ACCURACY)),
        _latency(_named(group, LATENCY)),
        MISSING if size is None else (f"{size / 1000:.1f}",),
        _memory(_named(group, ("memory",))),
        (_verdict(group),),
    )
    return Row(cells, overall(group) if group else None)


def _named(group: Iterable[Measurement], names: Iterable[str]) -> dict[str, list[Measurement]]:
    """The measurements of each name that were not skipped."""
    measured = [m for m in group if m.verdict is not Verdict.SKIPPED]
    return {name: [m for m in measured if m.name == name] for name in names}


def _mark(named: Mapping[str, list[Measurement]]) -> Cell:
    """The worst verdict as a word of its own, where it is not a pass."""
    shown = [measurement for group in named.values() for measurement in group]
    found = counts(shown)
    said = next((v for v in (Verdict.FAIL, Verdict.UNDECIDED) if found[v]), None)
    return () if said is None else (word(shown) if said is Verdict.FAIL else str(said),)


def _parity(named: Mapping[str, list[Measurement]]) -> Cell:
    worst = max((m for group in named.values() for m in group), key=_excess, default=None)
    if worst is None:
        return MISSING
    shown = "-" if worst.value is None else _multiple(worst.value)
    limit = "-" if worst.limit is None else f"{worst.limit:g}"
    return (f"{shown} / {limit}", *_mark(named))


def _excess(measurement: Measurement) -> float:
    """How far the value is on its way to the limit; a failure without a number comes last."""
    if measurement.value is None or math.isnan(measurement.value):
        return -math.inf if measurement.verdict is Verdict.PASS else math.inf
    return measurement.value / measurement.limit if measurement.limit else measurement.value


def _multiple(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.3g}"


def _accuracy(named: Mapping[str, list[Measurement]]) -> Cell:
    correct = _first(named["top1_correct"])
    change = _first(named["top1_change"])
    parts: list[str] = []
    if correct is not None and correct.value is not None:
        parts.append(f"{correct.value:.0f}" + (f"/{correct.n} =" if correct.n else ""))
        parts.append(f"{100 * correct.value / correct.n:.2f} %" if correct.n else "")
    elif change is not None:
        parts.extend(("-", ""))
    if change is not None:
        parts.append(f"{change.value:+z.2f}")
        parts.append(_interval(change, "+z.2f"))
    return tuple(_pad(parts or ["-"], 4, _mark(named)))


def _latency(named: Mapping[str, list[Measurement]]) -> Cell:
    median = _first(named["latency_batch_1"])
    ratio = _first(named["latency_ratio_batch_1"])
    slower = ratio is not None and ratio.interval is not None and ratio.interval[1] < 1
    parts = ["-" if median is None or median.value is None else f"{1000 * median.value:.3f}"]
    if ratio is not None:
        parts.extend((f"{ratio.value:.2f}x", _interval(ratio, ".2f")))
    return tuple(_pad(parts, 3, _mark(named) or ((SLOWER,) if slower else ())))


def _memory(named: Mapping[str, list[Measurement]]) -> Cell:
    grown = _first(named["memory"])
    return MISSING if grown is None else (f"{grown.value:.0f}",)


def _pad(parts: list[str], length: int, mark: Cell) -> list[str]:
    """The mark behind the parts, in the same place of every cell of a column."""
    return parts + [""] * (length - len(parts)) + list(mark) if mark else parts


def _first(group: Iterable[Measurement]) -> Measurement | None:
    return next((measurement for measurement in group if measurement.value is not None), None)


def _interval(measurement: Measurement, form: str) -> str:
    if measurement.interval is None:
        return ""
    lower, upper = measurement.interval
    return f"[{lower:{form}}, {upper:{form}}]"


def _verdict(group: Sequence[Measurement]) -> str:
    if not group:
        return NOT_CHECKED
    skipped = counts(group)[Verdict.SKIPPED]
    if overall(group) is Verdict.SKIPPED:
        return f"skipped ({skipped})"
    return f"{word(group)} ({skipped} skipped)" if skipped else word(group)
