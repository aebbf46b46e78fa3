"""Latency: how long does one call take, and is it faster than the float baseline?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from conversion.core import environment as machine
from conversion.core.artifact import Artifact
from conversion.core.measurement import Measurement, Verdict
from conversion.proof.checks.case import Case
from conversion.proof.metrics import latency
from conversion.proof.metrics.quantities import BATCHES, LATENCY, LATENCY_FILES
from conversion.proof.timing.turns import PROCESSES, Times, take_turns
from conversion.workspace import Workspace
from conversion.workspace.budget import BYTES_RUN

TOO_LARGE = (
    "calls of so many images, in as many processes as are timed side by side, would take more than "
    "half of this machine's memory"
)
"""Why a batch size is not timed."""

BUDGET = 20.0
"""Seconds of turns until an interval that does not close is left undecided."""


def speed(case: Case) -> list[Measurement]:
    """Time of one call at batch 1 and 32 on one thread, and the ratio to the float baseline."""
    workspace, baseline = case.workspace, case.backend.baseline
    least = workspace.demands.min_speed_up
    if baseline and case.artifact.digest == workspace.artifact(baseline).digest:
        reason = f"two copies of one file: {case.name} is {baseline}"
        return [case.about.measure(LATENCY_FILES, reason=reason, verdict=Verdict.FAIL)]
    others = [workspace.artifact(baseline)] if baseline else []
    times = timed(workspace, [case.artifact, *others])
    found, runner = list[Measurement](), workspace.runner(case.name, threads=1)
    for batch, seconds in times.seconds.items():
        wanted = runner.run(latency_inputs(case, batch))
        given = times.outputs[batch][0]
        found.append(latency.latency(case.about, batch, seconds, wanted, given))
        if baseline:
            ratio = latency.ratio(seconds)
            found.append(
                latency.speed_up(case.about, batch, ratio, baseline, record(times), least),
            )
    for batch in (each for each in BATCHES if each not in times.seconds):
        found += case.skip(LATENCY[batch], TOO_LARGE)
    return [*found, latency.memory(case.about, times.memory[:, 0])]


def timed(workspace: Workspace, artifacts: Sequence[Artifact], budget: float = BUDGET) -> Times:
    """Artifacts timed on one thread, in five fresh processes where there are several to compare.

    Args:
        workspace: the model that they come from.
        artifacts: the one in question first, then its baseline if it has one.
        budget: seconds of turns until what does not close is left open.

    Raises:
        RunFailed: one of them cannot be opened or run.
    """
    several = len(artifacts) > 1

    def closed(batch: int, seconds: Sequence[np.ndarray]) -> bool:
        return not several or latency.ratio(seconds).closed(workspace.demands.min_speed_up)

    return take_turns(
        workspace.subject.model,
        artifacts,
        workspace.parity_inputs,
        fitting(workspace.streaming.largest, PROCESSES * len(artifacts) if several else 1),
        closed,
        budget,
        processes=PROCESSES if several else 1,
        custom=workspace.spec.custom,
    )


def fitting(largest: int, runners: int, memory: int | None = None) -> tuple[int, ...]:
    """Batch sizes for which all that is timed at once fits half of the machine's memory.

    Args:
        largest: values of the largest layer.
        runners: files that are open at once, each of which keeps what a batch took.
        memory: bytes of the machine; those of this one by default.
    """
    most = (machine.memory() if memory is None else memory) // 2
    one = BYTES_RUN * largest * runners
    return tuple(batch for batch in BATCHES if batch == min(BATCHES) or batch * one <= most)


def record(times: Times) -> dict[str, object]:
    """On what times were measured; those of two machines are never compared."""
    cpu = asdict(machine.processor())
    return {
        "cpu": cpu["model"],
        "instructions": cpu["instructions"],
        "machine": cpu["digest"],
        "threads": times.threads,
        "load": list(times.load),
        "seconds": round(times.spent, 1),
    }


def latency_inputs(case: Case, batch: int) -> dict[str, np.ndarray]:
    """The first images of the parity inputs."""
    return {name: array[:batch] for name, array in case.workspace.parity_inputs.items()}


def latency_call(case: Case, name: str, batch: int) -> Callable[[], Mapping[str, np.ndarray]]:
    """One call of an artifact on one thread, in this process."""
    runner, inputs = case.workspace.runner(name, threads=1), latency_inputs(case, batch)
    return lambda: runner.run(inputs)
