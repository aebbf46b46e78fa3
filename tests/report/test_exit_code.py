"""The exit code says pass only where something passed and nothing is left open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.measurement import Measurement, Verdict
from conversion.report import exit_code

TOPICS = ("structure", "parity", "accuracy", "quantization", "latency")
RESULTS = st.tuples(st.sampled_from(TOPICS), st.sampled_from(list(Verdict)))


def run(*results: tuple[str, str]) -> list[Measurement]:
    """Measurements of topics and verdicts, such as ``("parity", "fail")``."""
    return [Measurement("m", topic, "s", "a", Verdict(verdict)) for topic, verdict in results]


@pytest.mark.parametrize(
    ("results", "code", "code_if_allowed"),
    [
        pytest.param([], 1, 1, id="an empty list"),
        pytest.param([("parity", "pass")], 0, 0, id="a pass"),
        pytest.param([("parity", "skipped"), ("accuracy", "skipped")], 1, 1, id="all skipped"),
        pytest.param([("parity", "pass"), ("accuracy", "skipped")], 0, 0, id="pass and skip"),
        pytest.param([("parity", "pass"), ("accuracy", "fail")], 1, 1, id="pass and failure"),
        pytest.param([("parity", "pass"), ("latency", "fail")], 1, 1, id="a latency failure"),
        pytest.param([("parity", "pass"), ("latency", "undecided")], 0, 0, id="open latency"),
        pytest.param([("latency", "undecided")], 1, 1, id="nothing but open latency"),
        pytest.param([("latency", "undecided"), ("parity", "skipped")], 1, 1, id="open and skip"),
        pytest.param([("parity", "undecided"), ("parity", "pass")], 1, 0, id="open parity"),
        pytest.param([("accuracy", "undecided"), ("parity", "pass")], 1, 0, id="open accuracy"),
        pytest.param([("layers", "undecided"), ("parity", "pass")], 1, 0, id="open elsewhere"),
        pytest.param([("parity", "undecided")], 1, 1, id="nothing but open parity"),
        pytest.param([("parity", "undecided"), ("parity", "fail")], 1, 1, id="open and failure"),
    ],
)
def test_the_exit_code_of_a_run(
    results: list[tuple[str, str]], code: int, code_if_allowed: int
) -> None:
    measurements = run(*results)
    assert exit_code(measurements) == code
    assert exit_code(measurements, allow_undecided=True) == code_if_allowed


@given(st.lists(RESULTS), st.booleans(), st.data())
def test_a_failure_anywhere_is_never_success(
    results: list[tuple[str, Verdict]], allow_undecided: bool, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(results)), label="place of the failure")
    topic = data.draw(st.sampled_from(TOPICS), label="topic of the failure")
    results.insert(place, (topic, Verdict.FAIL))
    assert exit_code(run(*results), allow_undecided) == 1


@given(st.lists(RESULTS), st.booleans())
def test_success_needs_a_pass(results: list[tuple[str, Verdict]], allow_undecided: bool) -> None:
    without = [result for result in results if result[1] is not Verdict.PASS]
    assert exit_code(run(*without), allow_undecided) == 1


@given(st.lists(RESULTS))
def test_undecided_outside_latency_is_not_success_unless_allowed(
    results: list[tuple[str, Verdict]],
) -> None:
    assert exit_code(run(*results, ("parity", "undecided"))) == 1


@given(st.permutations([("parity", "pass"), ("latency", "undecided"), ("layers", "skipped")]))
def test_the_order_of_measurements_does_not_matter(results: list[tuple[str, str]]) -> None:
    assert exit_code(run(*results)) == 0
