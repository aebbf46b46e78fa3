"""Paired rounds of several processes: the ratio, its interval, and the verdict on it."""

import numpy as np
import pytest

from conversion.core.quantity import About
from conversion.proof.metrics.latency import (
    latency,
    memory,
    ratio,
    speed_up,
)

ABOUT = About("synthetic", "onnx-int8")
OUTPUTS = {"y": np.array([[1.0, 2.0]], np.float32)}


def rounds(candidate, baseline):
    return np.column_stack([candidate, baseline]).astype(float)


def processes(*speeds, count=9):
    """Processes of nine rounds in which the baseline takes so many times as long."""
    return [rounds(np.ones(count), np.full(count, speed)) for speed in speeds]


def test_a_process_gives_the_median_of_its_paired_rounds():
    found = ratio([rounds([2, 4, 3], [4, 4, 9]), rounds([1, 1, 1], [2, 2, 2])])  # 2, 1, 3 and 2s
    assert found.processes == pytest.approx((2.0, 2.0))
    assert (found.value, found.rounds) == (pytest.approx(2.0), 6)


def test_a_drift_that_meets_both_alike_does_not_move_the_ratio():
    drift = np.linspace(1, 3, 50)
    found = ratio([rounds(drift, 1.5 * drift)] * 3)
    assert found.value == pytest.approx(1.5)


def test_the_ratio_is_the_geometric_mean_over_processes():
    assert ratio(processes(1.0, 4.0)).value == pytest.approx(2.0)


def test_rounds_do_not_narrow_what_processes_disagree_about():
    few, many = (ratio(processes(1.1, 1.2, 1.3, 1.4, 1.5, count=n)) for n in (5, 500))
    assert few.interval == many.interval
    assert few.interval[0] < 1.2 < 1.4 < few.interval[1]


@pytest.mark.parametrize(
    ("speeds", "verdict"),
    [
        ((1.3, 1.31, 1.29, 1.3, 1.3), "faster"),
        ((1.03, 1.03, 1.03, 1.03, 1.03), "faster"),
        ((1.01, 1.01, 1.01, 1.01, 1.01), "undecided"),
        ((1.0, 1.0, 1.0, 1.0, 1.0), "undecided"),
        ((0.99, 0.99, 0.99, 0.99, 0.99), "undecided"),
        ((0.9, 0.91, 0.9, 0.89, 0.9), "slower"),
        ((0.8, 1.3, 0.8, 1.3, 1.0), "undecided"),
    ],
    ids=["faster", "just faster", "margin", "alike", "other margin", "slower", "processes differ"],
)
def test_only_an_interval_past_the_margin_decides(speeds, verdict):
    found = ratio(processes(*speeds))
    assert found.verdict == verdict
    measured = speed_up(ABOUT, 1, found, "onnx-fp32", {})
    # Nobody has demanded a speed: slower is said, and is no failure.
    assert str(measured.verdict) == ("undecided" if verdict == "undecided" else "pass")
    assert (measured.limit, measured.concerns) == (None, "speed")


@pytest.mark.parametrize(
    ("least", "verdict"), [(1.1, "pass"), (1.29, "pass"), (1.3, "undecided"), (1.4, "fail")]
)
def test_a_speed_that_is_demanded_is_judged_by_the_interval(least, verdict):
    found = speed_up(ABOUT, 1, ratio(processes(1.29, 1.3, 1.31, 1.29, 1.31)), "x", {}, least)
    assert (str(found.verdict), found.limit) == (verdict, least)
    assert found.word == {"fail": "too slow"}.get(verdict, verdict)


def test_an_interval_over_a_demanded_speed_needs_more_rounds_until_it_is_narrow():
    wide, narrow = processes(1.18, 1.2, 1.22), processes(1.199, 1.2, 1.201)
    assert ratio(wide).closed()
    assert not ratio(wide).closed(least=1.2)
    assert ratio(wide).closed(least=1.1)
    assert ratio(narrow).closed(least=1.2)


def test_a_process_whose_every_round_is_a_quarter_slow_is_seen_in_the_interval():
    found = ratio(processes(1.3, 1.3, 1.3, 1.3, 0.9))
    assert found.interval[0] < 1.25


def test_an_interval_that_is_decided_and_narrow_needs_no_more_rounds():
    assert ratio(processes(1.3, 1.3, 1.31, 1.3, 1.3)).closed()
    assert not ratio(processes(1.2, 1.4, 1.3, 1.5, 1.1)).closed()
    # Wider than 5 %, and ten times as far from the margin: no more rounds would change that.
    assert ratio(processes(1.7, 1.8, 1.9, 1.75, 1.85)).closed()
    assert not ratio(processes(1.7, 1.8, 1.9, 1.75, 1.85)).closed(least=1.7)


def test_an_interval_around_one_closes_when_it_is_too_narrow_to_leave_the_margin():
    assert ratio(processes(1.0, 1.001, 0.999, 1.0, 1.0)).closed()
    assert not ratio(processes(0.97, 1.03, 1.0, 0.98, 1.02)).closed()


@pytest.mark.parametrize("seconds", [[], processes(1.2), [rounds([], []), *processes(1.2)]])
def test_too_few_processes_or_rounds_are_an_error(seconds):
    with pytest.raises(ValueError, match="rounds of"):
        ratio(seconds)


def test_the_interval_is_the_same_every_time():
    one, other = (ratio(processes(1.1, 1.2, 1.3)).interval for _ in range(2))
    assert one == other


def test_the_reason_names_the_baseline_and_the_record_keeps_every_process():
    found = speed_up(ABOUT, 1, ratio(processes(0.8, 0.81, 0.8)), "onnx-fp32", {"threads": 1})
    assert found.name == "latency_ratio_batch_1"
    assert "slower than onnx-fp32" in found.reason
    assert found.rows[0]["threads"] == 1
    assert found.rows[0]["processes"] == pytest.approx([0.8, 0.81, 0.8])


def test_the_time_is_the_median_of_the_processes_medians():
    found = latency(ABOUT, 32, [rounds([2, 4, 3], [1, 1, 1]), rounds([5], [1])], OUTPUTS, OUTPUTS)
    assert (found.name, found.value, found.unit, found.n) == ("latency_batch_32", 4.0, "s", 4)


@pytest.mark.parametrize(
    "outputs",
    [
        {"y": np.array([[1.0, np.nextafter(np.float32(2), np.float32(3))]], np.float32)},
        {"y": OUTPUTS["y"] * np.float32(np.nan)},
        {"y": OUTPUTS["y"].astype(np.float64)},
        {"y": OUTPUTS["y"][0]},
        {"z": OUTPUTS["y"]},
        {},
    ],
    ids=["one ulp", "nan", "float64", "shape", "renamed", "none"],
)
def test_a_timed_call_that_gave_other_outputs_fails(outputs):
    found = latency(ABOUT, 1, [rounds([1], [1])], OUTPUTS, outputs)
    assert str(found.verdict) == "fail"
    assert found.reason.startswith("the timed call gave other outputs than the runner: ")


def test_no_round_is_a_failure():
    found = latency(ABOUT, 1, [], OUTPUTS, {})
    assert (str(found.verdict), found.reason, found.value) == ("fail", "no round ran", None)


def test_memory_is_the_median_growth_in_megabytes():
    found = memory(ABOUT, np.array([1e6, 9e6, 2e6]))
    assert (found.value, found.unit, found.n) == (2.0, "MB", 3)


@pytest.mark.parametrize(
    ("largest", "runners", "batches"),
    [(32 * 32 * 16, 10, (1, 32)), (540 * 540 * 32, 10, (1,)), (540 * 540 * 32, 1, (1, 32))],
    ids=["a small model", "large layers in five processes", "large layers in one"],
)
def test_a_batch_is_timed_where_all_processes_together_fit_the_machine(largest, runners, batches):
    """Five processes of two files took 23 GB for 32 images of 540 x 540 x 32, and were killed."""
    from conversion.proof.checks.latency import fitting

    assert fitting(largest, runners, memory=23 * 10**9) == batches
