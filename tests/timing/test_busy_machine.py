"""Verdicts on speed stay the same while another process keeps a core busy."""

import subprocess
import sys

import pytest

from conversion.core.settings import OnnxScheme, Settings
from conversion.proof.checks.latency import timed
from conversion.proof.metrics import latency
from conversion.proof.metrics.quantities import BATCHES

pytestmark = pytest.mark.slow

REPEATS = 10
WHOLE = Settings(onnx=OnnxScheme(weights="uint8", per_channel=False))


@pytest.fixture
def busy():
    """A process that does nothing but count."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process
    assert process.poll() is None, "the machine was not busy to the end"
    process.kill()
    process.wait()


@pytest.fixture(params=["embedded", "mlperf-tiny"])
def workspace(request, workspaces):
    return workspaces(request.param)


def verdicts(workspace, artifact):
    """What ten comparisons with the float32 ONNX file say, by batch size."""
    baseline = workspace.artifact("onnx-fp32")
    said = {batch: [] for batch in BATCHES}
    for _ in range(REPEATS):
        times = timed(workspace, [artifact, baseline])
        for batch in BATCHES:
            found = latency.ratio(times.seconds[batch])
            said[batch].append(found.verdict)
            low, high = found.interval
            print(f"{artifact.name} batch {batch}: {found.value:.3f} [{low:.3f}, {high:.3f}]")
    return said


def always(verdict):
    return {batch: [verdict] * REPEATS for batch in BATCHES}


def test_the_default_int8_is_faster_ten_times_of_ten(busy, workspace):
    assert verdicts(workspace, workspace.artifact("onnx-int8")) == always("faster")


def test_uint8_weights_are_slower_ten_times_of_ten(busy, workspace):
    assert verdicts(workspace, workspace.with_settings(WHOLE).artifact("onnx-int8")) == always(
        "slower"
    )


def test_litert_is_faster_ten_times_of_ten(busy, workspace):
    pytest.importorskip("ai_edge_litert", reason="keras-conversion-suite[litert] brings it")
    assert verdicts(workspace, workspace.artifact("litert-int8")) == always("faster")


def test_a_file_is_never_faster_or_slower_than_itself(busy, workspace):
    assert verdicts(workspace, workspace.artifact("onnx-fp32")) == always("undecided")
