"""How long does a call take, fp32 beside int8, on one thread?

The table is pytest-benchmark's: save it with --benchmark-autosave, compare with
--benchmark-compare. What is asserted is that rounds ran and that the timed call did the runner's
work; a ratio from one process decides nothing.
"""

import pytest

from conversion.backends import CONVERTED
from conversion.proof.checks.latency import latency_call, latency_inputs
from conversion.proof.metrics.compare import odd_one
from conversion.proof.metrics.quantities import BATCHES

pytestmark = pytest.mark.latency

ROUNDS = {1: 300, 32: 30}


def test_speed_beside_the_baseline(case, check, judge):
    judge(check.measure(case))


@pytest.mark.artifacts(*CONVERTED)
@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: f"batch-{batch}")
def test_latency(case, batch, benchmark):
    if benchmark.disabled:
        pytest.skip(
            "pytest-benchmark is off here (xdist, --benchmark-disable): it would time nothing"
        )
    framework = case.name.split("-")[0]
    benchmark.group = f"{case.workspace.subject.name}, {framework}, batch {batch}, one thread"
    benchmark.extra_info.update(artifact=case.artifact.digest, batch=batch, threads=1)
    call = latency_call(case, case.name, batch)
    timed = benchmark.pedantic(call, rounds=ROUNDS[batch], warmup_rounds=10)
    assert benchmark.stats.stats.rounds == ROUNDS[batch]
    assert benchmark.stats.stats.min > 0
    wanted = case.workspace.runner(case.name, threads=1).run(latency_inputs(case, batch))
    assert odd_one(wanted, timed) == ""
    assert {len(output) for output in timed.values()} == {batch}
