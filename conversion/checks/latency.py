"""Time of one call, in turns with the baseline's; deciding the ratio takes more processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from conversion.checks.compare import odd_one
from conversion.checks.parity import Subjected
from conversion.measurement import Measurement, Verdict

WARM_UP = 5
CONFIDENCE = 0.95
Call = Callable[[], Mapping[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Timed:
    """Times of two calls that took turns.

    Attributes:
        candidate: seconds of each round.
        baseline: seconds of each round; empty where there is no baseline.
        outputs: what the candidate's last timed call gave.
    """

    candidate: np.ndarray
    baseline: np.ndarray
    outputs: Mapping[str, np.ndarray]


def interleave(candidate: Call, baseline: Call | None, rounds: int) -> Timed:
    """Time two calls in turns, so that a drift of the machine meets both alike.

    Args:
        candidate: the call to time.
        baseline: the one to compare it with.
        rounds: how many times each is called, after a warm-up.
    """
    calls = [candidate] if baseline is None else [candidate, baseline]
    for call in calls * WARM_UP:
        call()
    seconds: list[list[float]] = [[] for _ in calls]
    outputs: Mapping[str, np.ndarray] = {}
    for turn in range(rounds):
        order = list(enumerate(calls))
        for index, call in order if turn % 2 else reversed(order):  # ABBA
            start = time.perf_counter()
            result = call()
            seconds[index].append(time.perf_counter() - start)
            outputs = result if index == 0 else outputs
    other = np.array(seconds[1]) if baseline is not None else np.array([])
    return Timed(np.array(seconds[0]), other, outputs)


def latency(
    about: Subjected,
    batch: int,
    timed: Timed,
    wanted: Mapping[str, np.ndarray],
    seed: int = 0,
) -> list[Measurement]:
    """The median time, and the ratio to the baseline with an interval.

    The ratio is undecided whatever it is: two processes differ by more than one process shows,
    so one process cannot decide it.

    Args:
        about: what is measured.
        batch: images in a call.
        timed: the times, in seconds.
        wanted: what the runner gives for the same input; the timed call must have given it.
        seed: of the bootstrap over rounds.
    """
    name, rounds = f"latency_batch_{batch}", len(timed.candidate)
    odd = odd_one(wanted, timed.outputs) if rounds else ""
    reason = f"the timed call gave other outputs than the runner: {odd}" if odd else ""
    reason = reason if rounds else "no round ran"
    found = [
        Measurement(
            name=name,
            topic="latency",
            subject=about.subject,
            artifact=about.artifact,
            verdict=Verdict.FAIL if reason else Verdict.PASS,
            value=float(np.median(timed.candidate)) if rounds else None,
            unit="s",
            n=rounds,
            reason=reason,
        )
    ]
    if len(timed.baseline):
        ratios = timed.baseline / timed.candidate
        random = np.random.RandomState(seed)
        drawn = random.choice(ratios, (1000, len(ratios)))
        tail = 100 * (1 - CONFIDENCE) / 2
        low, high = np.percentile(np.median(drawn, axis=1), [tail, 100 - tail])
        found.append(
            Measurement(
                name=f"latency_ratio_batch_{batch}",
                topic="latency",
                subject=about.subject,
                artifact=about.artifact,
                verdict=Verdict.UNDECIDED,
                value=float(np.median(ratios)),
                unit="x the baseline's speed",
                interval=(float(low), float(high)),
                n=len(ratios),
                seed=seed,
                reason="one process cannot decide it",
            )
        )
    return found
