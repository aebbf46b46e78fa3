"""Threads and seed of a run reach what depends on them, and the measurements say the seed."""

from dataclasses import replace

import numpy as np
import pytest

from conversion.core.artifact import Store
from conversion.core.running import Running
from conversion.core.settings import CalibrationChoice, Settings
from conversion.proof.checks import checks
from conversion.proof.checks.case import Case
from conversion.session import opened
from conversion.subjects.data import Dataset
from conversion.subjects.synthetic_inputs import synthetic_inputs


@pytest.fixture
def workspace_of(embedded, tmp_path):
    """Opens the embedded model, without its images, for a run."""

    def build(running, settings=None):
        model, store = embedded.subject.model, Store(tmp_path / "store")
        with opened(model, settings=settings, store=store, running=running) as found:
            return found

    return build


def test_a_run_has_its_threads_and_its_seed(workspace_of):
    found = workspace_of(Running(threads=3, seed=7))
    assert (found.threads, found.seed, found.settings.calibration.seed) == (3, 7, 7)


def test_a_run_by_default_takes_every_thread_and_seed_0(workspace_of, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 5)
    found = workspace_of(None)
    assert (found.threads, found.seed, found.settings.calibration.seed) == (5, 0, 0)


def test_the_seed_of_the_calibration_images_goes_before_that_of_the_run(workspace_of):
    chosen = Settings(calibration=CalibrationChoice(seed=0))
    found = workspace_of(Running(seed=7), chosen)
    assert (found.seed, found.settings.calibration.seed) == (7, 0)


def test_another_seed_draws_other_synthetic_inputs_of_the_same_range(embedded):
    one, other = (synthetic_inputs(embedded.spec, 50, seed=seed)["input_1"] for seed in (0, 7))
    assert synthetic_inputs(embedded.spec, 50)["input_1"].tobytes() == one.tobytes()
    assert not any((each == other).all(axis=(1, 2, 3)).any() for each in one)
    assert (one.min(), one.max()) == (other.min(), other.max()) == (0.0, 255.0)


def test_the_largest_seed_draws_inputs(embedded):
    assert len(synthetic_inputs(embedded.spec, 3, seed=2**32 - 1)["input_1"]) == 3


@pytest.fixture(params=[None, 40, 300], ids=["no images", "few images", "enough images"])
def images(request, embedded):
    """The embedded model with so many real images, and whether they are enough."""
    from conversion.subjects.embedded_images import generate

    count = request.param
    test = None if count is None else Dataset(*generate("test", count), source="test")
    subject = replace(embedded.subject, name="embedded", test=test, train=None)
    return replace(embedded.of(subject), seed=9), count


def test_measurements_on_synthetic_inputs_say_their_seed(images):
    workspace, count = images
    case = Case(workspace, "torch-fp32")
    found = {
        check.name: check.measure(case)
        for check in checks("torch-fp32")
        if check.name in ("rows", "margins", "weights")
    }
    seeds = {name: {each.seed for each in measured} for name, measured in found.items()}
    assert seeds["rows"] == {None if count == 300 else 9}
    assert seeds["margins"] == {9 if count is None else None}
    assert seeds["weights"] == {None}


def test_inputs_of_another_seed_are_other_parity_inputs(images):
    workspace, count = images
    (one,), (other,) = (replace(workspace, seed=s).parity_inputs.values() for s in (9, 10))
    real = count or 0
    assert (one[:real] == other[:real]).all()
    assert np.array_equal(one, other) is (real == 300)
