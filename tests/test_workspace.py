"""What a workspace holds, what an injected one shares with it, and what that makes anew."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from conversion import session
from conversion.core.artifact import Store
from conversion.core.settings import OnnxScheme, Settings
from conversion.reference import KerasModel


@pytest.fixture
def good(workspaces):
    return workspaces("embedded")


@pytest.fixture
def elsewhere(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def injected(good, elsewhere):
    """The ONNX file exchanged for a copy that goes by another digest."""
    file = good.artifact("onnx-fp32")
    return good.injected(elsewhere, {"onnx-fp32": replace(file, digest="other")})


MADE_FROM_ONNX = {
    *("onnx-fp32", "onnx-int8", "torch-via-onnx-fp32"),
    *("onnx-prepared", "onnx-places", "onnx-ranges"),
}


def test_all_that_is_made_from_what_is_exchanged_is_derived(injected):
    assert injected.artifacts.derived == MADE_FROM_ONNX
    assert injected.artifact("onnx-fp32").digest == "other"


def test_the_rest_is_the_originals_own(good, injected):
    assert injected.keras is good.keras
    assert injected.spec is good.spec
    assert injected.images is good.images
    assert injected.artifact("torch-fp32") is good.artifact("torch-fp32")
    assert injected.runner("torch-fp32") is good.runner("torch-fp32")
    assert injected.outputs("torch-fp32") is good.outputs("torch-fp32")
    assert injected.runner("onnx-fp32") is not good.runner("onnx-fp32")
    assert not list(injected.store.root.glob("*torch*"))


def test_a_runner_in_place_of_a_good_one_runs_that_artifact_alone(good, elsewhere):
    class Nothing:
        def run(self, inputs):
            return {name: np.zeros((len(inputs["input_1"]), 10), np.float32) for name in ["dense"]}

    injected = good.injected(elsewhere, runners={"torch-fp32": lambda threads: Nothing()})
    images = {"input_1": good.parity_inputs["input_1"][:2]}
    assert not injected.run("torch-fp32", images)["dense"].any()
    assert injected.runner("onnx-fp32") is good.runner("onnx-fp32")


def test_other_images_are_evaluated_and_the_artifacts_stay(good, elsewhere):
    test = good.subject.test.subset(np.arange(250)[::-1])
    injected = good.injected(elsewhere, subject=replace(good.subject, test=test))
    assert injected.spec is good.spec
    assert injected.artifact("torch-fp32") is good.artifact("torch-fp32")
    (images,) = injected.parity_inputs.values()
    assert np.array_equal(images, test.images)
    assert len(injected.outputs("torch-fp32", injected.test).arrays["dense"]) == 250
    assert list(injected.store.root.glob("outputs-torch-fp32*"))


def test_other_labels_leave_the_truth_alone(good, elsewhere):
    test = replace(good.subject.test, labels=good.subject.test.labels[::-1])
    assert good.injected(elsewhere, subject=replace(good.subject, test=test)).images is good.images


def test_other_training_images_calibrate_anew(good, elsewhere):
    train = good.subject.train.subset(np.arange(1000))
    injected = good.injected(elsewhere, subject=replace(good.subject, train=train))
    assert {"calibration", "onnx-ranges", "torch-int8"} <= injected.artifacts.derived
    assert not {"onnx-fp32", "torch-fp32"} & injected.artifacts.derived


CHOICES = {
    "settings": {"settings": Settings(onnx=OnnxScheme(format="qdq"))},
    "external files": {"external": {"torch-fp32": "other.pt"}},
}


@pytest.mark.parametrize("changed", CHOICES.values(), ids=list(CHOICES))
def test_under_other_choices_nothing_is_shared(injected, changed):
    other = replace(injected, **changed)
    assert other.artifacts.original is None
    assert other.runs.original is None
    assert other.keras is not injected.keras


def test_on_other_threads_outputs_are_not_shared(injected):
    other = replace(injected, threads=injected.threads + 1)
    assert other.outputs("torch-fp32") is not injected.outputs("torch-fp32")


def test_what_is_judged_is_open_alone(good, monkeypatch):
    own, opened = replace(good), []

    def judge(case, topics, made):
        case.workspace.runner(case.name)
        opened.append([name for name, _ in own.runs._runners])
        return []

    monkeypatch.setattr(session, "judge", judge)
    session.judge_all(own, ["torch-fp32", "onnx-fp32"], None, None)
    assert opened == [["torch-fp32"], ["onnx-fp32"]]


@pytest.mark.parametrize(("size", "closed"), [(900_000_000, 0), (1_100_000_000, 1)])
def test_a_keras_process_that_converting_made_large_ends(good, monkeypatch, size, closed):
    calls = []
    reference = SimpleNamespace(
        model=lambda path, spec: KerasModel(None, path, spec),
        memory=size,
        close=lambda: calls.append("close"),
    )
    monkeypatch.setattr(session, "judge", lambda case, topics, made: [])
    own = replace(good, reference=reference, memory=4_000_000_000)
    session.judge_all(own, ["torch-fp32"], None, None)
    assert len(calls) == closed
