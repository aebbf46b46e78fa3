"""An artifact in a child gives what it gives here, and its crash is a failure of the file."""

import os
import signal
from dataclasses import replace

import numpy as np
import psutil
import pytest

from conversion.backends import Capability, Ingredients, backend, implementation, missing
from conversion.backends.in_child import Opened, may_crash, open_runner
from conversion.core.errors import Crashed


@pytest.fixture(autouse=True)
def installed():
    if reason := missing("litert-fp32"):
        pytest.skip(reason)


@pytest.fixture
def good(workspaces):
    return workspaces("embedded")


@pytest.fixture
def artifact(good):
    return good.artifact("litert-fp32")


@pytest.fixture
def inputs():
    drawn = np.random.RandomState(3).randint(0, 256, (3, 32, 32, 3))
    return {"input_1": drawn.astype(np.float32)}


def test_outputs_are_those_of_the_runner_here(good, artifact, inputs):
    ingredients = Ingredients(good.spec, good.keras, good.settings, {})
    here = implementation(backend(artifact.name)).open(artifact, ingredients, 1)
    there = open_runner(artifact, ingredients, 1)
    assert isinstance(there, Opened)
    assert there.run(inputs)["dense"].tobytes() == here.run(inputs)["dense"].tobytes()


def test_tensors_are_those_that_are_seen_here(good, artifact, inputs):
    probe = {"input_1": inputs["input_1"][:1]}
    here = backend(artifact.name).capability(Capability.TAPS)(artifact, good.spec, 1, probe)
    names = [tensor.name for tensor in here.network.tensors[1:4]]
    expected = here.look(inputs, names)
    found = Opened(artifact, good.spec, 1, probe).look(inputs, names)
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in names)


def test_a_killed_child_is_a_failure_that_is_not_tried_again(good, artifact, inputs):
    runner = Opened(artifact, good.spec, 1)
    child = psutil.Process(runner._child._child.process.pid)
    os.kill(child.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(Crashed, match=r"litert-fp32\.tflite crashes .*SIGKILL"):
            runner.run(inputs)
    assert not child.is_running()


def test_an_artifact_that_is_judged_holds_no_process(good):
    own = replace(good)  # which has opened nothing
    child = psutil.Process(own.runner("litert-fp32")._child._child.process.pid)
    assert child.is_running()
    own.runs.forget("litert-fp32")
    assert not child.is_running()


@pytest.mark.parametrize(
    ("name", "may"), [("litert-fp32", True), ("litert-int8", True), ("onnx-fp32", False)]
)
def test_litert_and_files_of_others_may_crash(artifact, name, may):
    assert may_crash(replace(artifact, name=name)) is may
    assert may_crash(replace(artifact, name=name, external=True))
