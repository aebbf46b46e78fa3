"""Latency: how long does one call take, beside the float baseline?"""

from __future__ import annotations

import numpy as np

from conversion.checks import latency
from conversion.measurement import Measurement, Verdict
from conversion.verification.case import Case

BATCHES = (1, 32)
"""Batch sizes that latency is measured at."""

ROUNDS = {1: 200, 32: 30}
"""Rounds of the interleaved timing by batch size."""


def speed(case: Case) -> list[Measurement]:
    """Time of one call at batch 1 and 32 on one thread, in turns with the float baseline."""
    workspace, measured = case.workspace, list[Measurement]()
    baseline = case.backend.baseline
    if baseline and case.artifact.digest == workspace.artifact(baseline).digest:
        reason = f"two copies of one file: {case.name} is {baseline}"
        return case.without_value("latency_files", "latency", Verdict.FAIL, reason)
    for batch in BATCHES:
        candidate = latency_call(case, case.name, batch)
        other = latency_call(case, baseline, batch) if baseline else None
        wanted = workspace.runner(case.name, threads=1).run(latency_inputs(case, batch))
        timed = latency.interleave(candidate, other, ROUNDS[batch])
        measured += latency.latency(case.about, batch, timed, wanted)
    return measured


def latency_inputs(case: Case, batch: int) -> dict[str, np.ndarray]:
    """The first images of the parity inputs."""
    return {name: array[:batch] for name, array in case.workspace.parity_inputs.items()}


def latency_call(case: Case, name: str, batch: int) -> latency.Call:
    """One call of an artifact on one thread."""
    runner, inputs = case.workspace.runner(name, threads=1), latency_inputs(case, batch)
    return lambda: runner.run(inputs)
