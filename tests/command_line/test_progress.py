"""One line for what takes long, a sign of life after it, and nothing for what is quick."""

import logging
import threading
import time

import pytest

from conversion.core import progress
from conversion.core.progress import stage


@pytest.fixture
def said(caplog, monkeypatch):
    """The lines, on a clock that runs forty times as fast."""
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    monkeypatch.setattr(progress, "SILENCE", 0.2)
    monkeypatch.setattr(progress, "TICK", 0.01)
    caplog.set_level(logging.DEBUG, "conversion")

    def said(level=logging.INFO):
        return [record.getMessage() for record in caplog.records if record.levelno >= level]

    return said


def watchers():
    return [each for each in threading.enumerate() if each.name == "progress"]


def test_a_quick_stage_says_nothing(said):
    with stage("reading"):
        pass
    assert said(logging.DEBUG) == []


def test_a_stage_is_said_once_while_it_runs_and_its_time_goes_to_the_log(said):
    with stage("reading"):
        time.sleep(0.15)
        assert said() == ["reading ..."]
    assert said() == ["reading ..."]
    (taken,) = set(said(logging.DEBUG)) - set(said())
    assert taken.startswith("reading took 0.")


def test_the_innermost_long_stage_is_said_again_with_how_far_it_is(said):
    with stage("judging"), stage("evaluating") as inner:
        inner.note = "500 of 1000"
        time.sleep(0.6)
    first, second, *again = said()
    assert [first, second] == ["judging ...", "evaluating ..."]
    assert again
    assert set(again) <= {f"evaluating ... 500 of 1000, {second} s" for second in range(2)}


def test_many_quick_stages_in_a_long_one_leave_no_silence(said):
    with stage("judging"):
        for _ in range(30):
            with stage("checking"):
                time.sleep(0.02)
    first, *again = said()
    assert first == "judging ..."
    assert {line.partition(" ... ")[0] for line in again} == {"judging"}


def test_a_stage_that_raises_is_over(said):
    with pytest.raises(ZeroDivisionError), stage("dividing"):
        raise ZeroDivisionError
    time.sleep(0.15)
    assert said() == []
    assert watchers() == []


def test_nobody_is_told_where_nobody_listens(said, caplog):
    caplog.set_level(logging.WARNING, "conversion")
    with stage("reading"):
        assert watchers() == []
        time.sleep(0.1)
    assert said() == []
