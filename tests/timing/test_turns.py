"""Fresh processes that take turns: who is called how often, in which order, and what goes wrong."""

import os

import numpy as np
import pytest

from conversion.core import environment as machine
from conversion.core.artifact import Artifact
from conversion.core.errors import RunFailed
from conversion.proof.metrics import latency
from conversion.proof.timing.turns import LEAST_TURNS, take_turns

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def workspace(workspaces):
    return workspaces("embedded")


@pytest.fixture(scope="module")
def alike(workspace):
    """The same file twice, timed in three processes."""
    artifact = workspace.artifact("onnx-fp32")
    inputs = workspace.parity_inputs
    return take_turns(
        workspace.subject.model,
        [artifact, artifact],
        inputs,
        (1, 4),
        lambda batch, seconds: True,
        budget=0.0,
        processes=3,
    )


@pytest.mark.parametrize("batch", [1, 4])
def test_every_process_times_every_artifact_in_every_round(alike, batch):
    assert len(alike.seconds[batch]) == 3
    for seconds in alike.seconds[batch]:
        assert seconds.shape[1] == 2
        assert len(seconds) >= 5 * LEAST_TURNS
        assert (seconds > 0).all()


def test_a_file_timed_against_itself_is_neither_faster_nor_slower(alike):
    assert latency.ratio(alike.seconds[1]).verdict == "undecided"


def test_four_images_take_longer_than_one(alike):
    one, four = (np.median(alike.seconds[batch][0]) for batch in (1, 4))
    assert four > one


def test_what_is_timed_gives_the_runners_outputs(alike, workspace):
    inputs = {name: array[:4] for name, array in workspace.parity_inputs.items()}
    wanted = workspace.runner("onnx-fp32", threads=1).run(inputs)
    for found in alike.outputs[4]:
        assert {k: v.tobytes() for k, v in found.items()} == {
            k: v.tobytes() for k, v in wanted.items()
        }


def test_each_artifacts_memory_is_noted_in_each_process(alike):
    assert alike.memory.shape == (3, 2)
    assert (alike.memory[:, 0] > 0).all()


def test_turns_go_on_until_the_interval_closes(workspace):
    asked = []

    def closed(batch, seconds):
        asked.append(len(seconds[0]))
        return len(asked) == 3

    artifact = workspace.artifact("onnx-fp32")
    model, inputs = workspace.subject.model, workspace.parity_inputs
    take_turns(model, [artifact], inputs, (1,), closed, budget=60.0, processes=1)
    assert len(asked) == 3
    assert asked == sorted(asked)


def test_a_budget_ends_turns_that_never_close(workspace):
    artifact = workspace.artifact("onnx-fp32")
    model, inputs = workspace.subject.model, workspace.parity_inputs
    found = take_turns(model, [artifact], inputs, (1,), lambda *_: False, budget=0.3, processes=1)
    assert found.spent < 30


def test_a_file_that_cannot_be_opened_is_a_failure_of_the_artifact(workspace, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    artifact = Artifact("onnx-fp32", path, "0" * 64, {})
    model, inputs = workspace.subject.model, workspace.parity_inputs
    with pytest.raises(RunFailed, match=r"cannot run the artifact: UserError: .*broken\.onnx"):
        take_turns(model, [artifact], inputs, (1,), lambda *_: True, budget=1.0, processes=1)


def test_the_processor_says_which_integer_instructions_it_has():
    found = machine.processor()
    assert found.logical == os.cpu_count()
    assert len(found.digest) == 64
    if found.instructions is not None:
        assert "avx512_vnni" in found.instructions
