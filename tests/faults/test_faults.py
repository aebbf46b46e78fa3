"""Every known fault is caught by the check that must catch it, which names the layer or cause."""

from dataclasses import replace

import pytest
from conversion.plugin.options import subjects
from first_faults import first_faults

from conversion.backends import BACKENDS, missing
from conversion.proof.faults import all_faults, trial
from conversion.proof.faults import power as detection
from conversion.proof.faults.fault import STAGES

ELSEWHERE = {"mlperf-tiny": pytest.mark.slow}
"""The embedded model stands for both every day; `tox -e slow` and `power` take the other one."""


def pytest_generate_tests(metafunc):
    if "good" in metafunc.fixturenames:
        names = [s for s in subjects(metafunc.config) if s in ("embedded", "mlperf-tiny")]
        params = [pytest.param(s, marks=ELSEWHERE.get(s, ()), id=s) for s in names]
        metafunc.parametrize("good", params, indirect=True, scope="session")


@pytest.fixture(scope="session")
def good(request, workspaces):
    """An untouched workspace with the images of the fault suite."""
    whole = workspaces(request.param)
    few = whole.injected(whole.store, {}, detection.limited(whole.subject))
    return detection.prepared(replace(few, threads=1))


def assert_caught(good, fault):
    if reason := missing(fault.artifact):
        pytest.skip(reason)
    caught, found = trial.caught(good, fault, fault.inject)
    assert caught, [m.explain() for m in found]
    assert trial.naming(good, fault, found) is not None, [m.explain() for m in found]


def test_every_check_of_every_artifact_catches_a_fault_and_names_it(good, subtests):
    """Every day the first fault of each; `tox -e slow` and `power` inject all."""
    chosen = first_faults()
    assert len(chosen) > 30
    for fault in chosen:
        with subtests.test(fault.name):
            assert_caught(good, fault)


def test_kernels_that_are_all_turned_are_named_and_not_the_image_that_may_have_been(good):
    """Behind a global average both give the same values; no operation turns the image."""
    (fault,) = [f for f in all_faults() if f.name == "torch-kernels-height-width-swapped"]
    assert_caught(good, fault)


@pytest.mark.slow
@pytest.mark.parametrize("artifact", BACKENDS)
@pytest.mark.parametrize("stage", STAGES)
def test_the_check_that_must_catch_a_fault_does_and_names_it(good, stage, artifact, subtests):
    for fault in all_faults():
        if (fault.stage, fault.artifact) != (stage, artifact):
            continue
        with subtests.test(fault.name):
            assert_caught(good, fault)


@pytest.mark.slow
@pytest.mark.parametrize("artifact", BACKENDS)
def test_the_same_checks_leave_the_untouched_subject_alone(good, workspaces, artifact):
    """Each check once, however many faults it must catch; every day `tests/suite` asks them."""
    if reason := missing(artifact):
        pytest.skip(reason)
    bad = []
    for check in sorted({fault.check for fault in all_faults() if fault.artifact == artifact}):
        # What int8 costs in accuracy has limits for a whole test set: a thousand images say little.
        asked_of = workspaces(good.subject.name) if check == "quantized-top1" else good
        bad += [m.explain() for m in trial.failures(asked_of, artifact, check)]
    assert bad == []
