"""Time of a call, and whether an artifact is faster than its baseline, from paired rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import odd_one
from conversion.proof.metrics.quantities import LATENCY, LATENCY_RATIO, MEMORY

CONFIDENCE = 0.99
"""Of the interval on the ratio: it is looked at after every turn, so it must be a strict one."""

CLOSED = 1.05
"""Upper over lower end of an interval that needs no more rounds once it is decided; it may be as
wide as it is away from what decides. Processes differ, and more rounds of the same few do not make
the interval over them narrower: 20 s were spent on what was decided after 3."""

LEVEL = 1.02
"""The same where it is not: so narrow an interval will not leave the margin any more."""

SEED = 0


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as the baseline an artifact is.

    Attributes:
        value: the geometric mean over processes of each one's median ratio.
        interval: the 99 % interval of it.
        processes: each one's median ratio.
        rounds: of all processes.
    """

    value: float
    interval: tuple[float, float]
    processes: tuple[float, ...]
    rounds: int

    @property
    def verdict(self) -> str:
        """``faster``, ``slower`` or ``undecided``."""
        margin = limits.FASTER.value
        if self.interval[0] > margin:
            return "faster"
        return "slower" if self.interval[1] < 1 / margin else "undecided"

    def closed(self, least: float | None = None) -> bool:
        """Whether more rounds would change nothing that is asked.

        Args:
            least: the speed that is demanded; None where it is asked which is faster.
        """
        low, high = self.interval
        marks = (limits.FASTER.value, 1 / limits.FASTER.value) if least is None else (least, least)
        undecided = self.verdict == "undecided" if least is None else low < least <= high
        if undecided:
            return high / low < LEVEL
        away = max(low / marks[0], marks[1] / high)
        return high / low < max(CLOSED, away)


def ratio(seconds: Sequence[np.ndarray]) -> Ratio:
    """The speed-up from paired rounds, with a bootstrap over processes.

    A process gives one number, the median over its rounds of baseline's time over candidate's.
    The processes are what is drawn again: rounds of one process are alike in whatever makes
    processes differ, so drawing rounds would promise more than is known.

    Args:
        seconds: for each process ``(rounds, artifacts)``: the candidate in the first column, the
            baseline in the second.

    Raises:
        ValueError: there are fewer than two processes, or one without rounds.
    """
    if len(seconds) < 2 or not all(map(len, seconds)):
        raise ValueError(f"rounds of {len(seconds)} processes: {[len(each) for each in seconds]}")
    logs = tuple(float(np.median(np.log(s[:, 1] / s[:, 0]))) for s in seconds)
    low, high = _interval(logs)
    return Ratio(
        value=float(np.exp(np.mean(logs))),
        interval=(float(np.exp(low)), float(np.exp(high))),
        processes=tuple(float(np.exp(each)) for each in logs),
        rounds=sum(map(len, seconds)),
    )


@cache
def _interval(values: tuple[float, ...]) -> tuple[float, float]:
    from scipy import stats

    if len(set(values)) == 1:
        return values[0], values[0]
    found = stats.bootstrap(
        (np.array(values),),
        np.mean,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def latency(
    about: About,
    batch: int,
    seconds: Sequence[np.ndarray],
    wanted: Mapping[str, np.ndarray],
    given: Mapping[str, np.ndarray],
) -> Measurement:
    """The median time of a call, one in the processes that timed it.

    Args:
        about: what is measured.
        batch: images in a call.
        seconds: for each process ``(rounds, artifacts)``, the artifact in the first column.
        wanted: what the runner gives for the same images.
        given: what the timed call gave; it must have done the same work.
    """
    rounds = sum(map(len, seconds))
    odd = odd_one(wanted, given) if rounds else ""
    reason = f"the timed call gave other outputs than the runner: {odd}" if odd else ""
    medians = [float(np.median(each[:, 0])) for each in seconds if len(each)]
    value = float(np.median(medians)) if rounds else None
    reason = reason if rounds else "no round ran"
    verdict = Verdict.FAIL if reason else Verdict.PASS
    return about.measure(LATENCY[batch], value, reason, verdict=verdict, n=rounds)


def speed_up(
    about: About,
    batch: int,
    found: Ratio,
    baseline: str,
    record: Mapping[str, Any],
    least: float | None = None,
) -> Measurement:
    """How much faster than its baseline the artifact is, and whether that is enough.

    Args:
        about: what is measured.
        batch: images in a call.
        found: the ratio.
        baseline: the artifact that it is compared with.
        record: on what it was measured, plain values.
        least: the speed-up that is demanded: fail where the whole interval lies below it. None
            where none is: then faster or slower is said, and is no failure.
    """
    margin, (low, high) = limits.FASTER.value, found.interval
    near = f"the interval reaches into {1 / margin:.2f} to {margin:g}"
    if least is None:
        verdict, reason = {
            "faster": (Verdict.PASS, f"faster than {baseline}"),
            "slower": (Verdict.PASS, f"slower than {baseline}; no speed is demanded"),
            "undecided": (Verdict.UNDECIDED, near),
        }[found.verdict]
    elif low >= least:
        verdict, reason = Verdict.PASS, ""
    elif high < least:
        verdict, reason = Verdict.FAIL, "the whole interval lies below what is demanded"
    else:
        verdict, reason = Verdict.UNDECIDED, "the interval reaches over what is demanded"
    return about.measure(
        LATENCY_RATIO[batch],
        found.value,
        reason,
        verdict=verdict,
        unit=f"x the speed of {baseline}",
        limit=least,
        interval=found.interval,
        n=found.rounds,
        seed=SEED,
        rows=({**record, "processes": list(found.processes)},),
        concerns=Concern.SPEED,
    )


def memory(about: About, grown: np.ndarray) -> Measurement:
    """By how much a process grew when it opened the artifact and ran it.

    Args:
        about: what is measured.
        grown: ``(processes,)`` bytes; the runtime itself was imported before.
    """
    return about.measure(MEMORY, float(np.median(grown)) / 1e6, n=len(grown))
