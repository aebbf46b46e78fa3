"""Saved timings: those of another machine are refused, those of this one are compared."""

import copy

import pytest
from conversion.plugin.machines import (
    KEY,
    pytest_benchmark_compare_machine_info,
    pytest_benchmark_update_machine_info,
)

from conversion.core import environment as machine


@pytest.fixture
def ours():
    found = {"node": "here"}
    pytest_benchmark_update_machine_info(found)
    return found


def saved(info):
    return {"machine_info": info}


def test_a_saved_run_names_the_processor_and_its_instruction_sets(ours):
    assert ours[KEY]["digest"] == machine.processor().digest
    assert ours["node"] == "here"


def test_a_run_of_this_machine_is_compared(ours):
    pytest_benchmark_compare_machine_info(ours, saved(copy.deepcopy(ours)))


@pytest.mark.parametrize(
    "change",
    [{"digest": "0" * 64}, {"logical": 128}],
    ids=["another processor", "more threads"],
)
def test_a_run_of_another_machine_is_refused(ours, change):
    theirs = copy.deepcopy(ours)
    theirs[KEY].update(change)
    with pytest.raises(pytest.UsageError, match="times of two machines are not compared"):
        pytest_benchmark_compare_machine_info(ours, saved(theirs))


def test_a_run_that_does_not_say_is_refused(ours):
    with pytest.raises(pytest.UsageError, match="an unknown processor"):
        pytest_benchmark_compare_machine_info(ours, saved({"node": "there"}))
