"""The pytest door: which verdicts fail a test, with which words, and what travels to the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SUITE = """
import numpy as np
import pytest
from conversion.core.measurement import Concern, Measurement, Verdict

FIELDS = {
    "passed": {"verdict": "pass", "interval": (0.5, float("nan")), "rows": ({"a": np.ones(2)},)},
    "broken": {"verdict": "fail"},
    "dear": {"verdict": "fail", "concerns": Concern.COST},
    "slow": {"verdict": "fail", "concerns": Concern.SPEED, "limit": 1.2},
    "powerless": {"verdict": "undecided"},
    "few": {"verdict": "undecided", "lacks_images": True},
    "hardly": {"verdict": "undecided", "concerns": Concern.SPEED},
    "weak": {"verdict": "undecided", "concerns": Concern.ADVICE},
    "skipped": {"verdict": "skipped", "reason": "no data"},
}

def measurement(name):
    fields = {"name": name, "topic": "parity", "subject": "mine", "artifact": name}
    fields |= FIELDS[name]
    return Measurement(**{**fields, "verdict": Verdict(fields["verdict"])})

@pytest.mark.parametrize("name", FIELDS)
def test_one(name, judge):
    judge([measurement(name)])

def test_all(judge):
    judge([measurement(name) for name in FIELDS])

def test_nothing(judge):
    judge([])
"""
FAILED = {
    "test_one[broken]": "fail: broken on mine: broken",
    "test_one[dear]": "costs too much: dear on mine: dear",
    "test_one[slow]": "too slow: slow on mine: slow (must be  1.2)",
    "test_one[powerless]": "undecided: powerless on mine: powerless",
    "test_all": "fail: broken on mine: broken",
    "test_nothing": "the check measured nothing",
}
PASSED = {f"test_one[{name}]" for name in ("passed", "few", "hardly", "weak")}


@pytest.fixture(
    scope="module",
    params=[
        "one process",
        pytest.param(
            "two workers",
            marks=pytest.mark.skipif(find_spec("xdist") is None, reason="needs pytest-xdist"),
        ),
    ],
)
def ran(request, tmp_path_factory):
    """A run of the little suite: what it printed, and its JUnit file."""
    folder = tmp_path_factory.mktemp("verdicts")
    (folder / "test_little.py").write_text(SUITE)
    workers = ["-n", "2"] if request.param == "two workers" else []
    command = [sys.executable, "-m", "pytest", "-p", "fixtures.verdicts", *workers]
    done = subprocess.run(
        [*command, "--junitxml=junit.xml", "-o", "junit_family=xunit1"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "INTERNALERROR" not in done.stdout, done.stdout
    return done.stdout, ElementTree.parse(folder / "junit.xml").getroot()


def test_a_test_fails_where_the_exit_code_would_not_be_0_and_says_which(ran):
    _, junit = ran
    said = {
        case.get("name"): failure.get("message").removeprefix("Failed: ").splitlines()[0]
        for case in junit.iter("testcase")
        for failure in case.iter("failure")
    }
    assert said == FAILED
    skipped = {
        case.get("name") for case in junit.iter("testcase") if case.find("skipped") is not None
    }
    assert skipped == {"test_one[skipped]"}
    assert {case.get("name") for case in junit.iter("testcase")} - set(said) - skipped == PASSED


def test_of_several_the_words_come_in_the_order_of_the_codes(ran):
    _, junit = ran
    (failure,) = (
        case.find("failure") for case in junit.iter("testcase") if case.get("name") == "test_all"
    )
    lines = failure.get("message").removeprefix("Failed: ").splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "fail",
        "undecided",
        "costs too much",
        "too slow",
    ]


def test_junit_properties_are_json(ran):
    _, junit = ran
    values = [
        json.loads(each.get("value"), parse_constant=pytest.fail) for each in junit.iter("property")
    ]
    assert len(values) == 18
    assert {value["verdict"] for value in values} == {"pass", "fail", "undecided", "skipped"}
    passed = next(value for value in values if value["name"] == "passed")
    assert (passed["interval"], passed["rows"]) == ([0.5, None], [{"a": [1.0, 1.0]}])


def test_every_measurement_reaches_the_table_at_the_end(ran):
    printed, _ = ran
    assert "2 passed, 6 failed, 8 undecided, 2 skipped" in printed.splitlines()
