"""Timing in turns: the order, the count, and that what was timed gave the right outputs."""

import numpy as np
import pytest

from conversion.checks.latency import WARM_UP, Timed, interleave, latency
from conversion.checks.parity import Subjected

ABOUT = Subjected("synthetic", "onnx-int8")
OUTPUTS = {"y": np.array([[1.0, 2.0]], np.float32)}


def called(log, name, outputs=OUTPUTS):
    def call():
        log.append(name)
        return outputs

    return call


def test_two_calls_take_turns_in_the_order_abba():
    log = []
    interleave(called(log, "a"), called(log, "b"), rounds=4)
    assert "".join(log[2 * WARM_UP :]) in ("abbaabba", "baabbaab")
    assert sorted(log[: 2 * WARM_UP]) == ["a"] * WARM_UP + ["b"] * WARM_UP


@pytest.mark.parametrize("rounds", [0, 1, 7])
def test_every_round_is_a_time_of_each_call(rounds):
    log = []
    timed = interleave(called(log, "a"), called(log, "b"), rounds)
    assert (len(timed.candidate), len(timed.baseline)) == (rounds, rounds)
    assert log.count("a") == log.count("b") == rounds + WARM_UP
    assert (timed.candidate >= 0).all()


def test_without_a_baseline_one_call_is_timed_alone():
    log = []
    timed = interleave(called(log, "a"), None, rounds=3)
    assert (len(timed.candidate), len(timed.baseline), len(log)) == (3, 0, 3 + WARM_UP)
    assert len(latency(ABOUT, 1, timed, OUTPUTS)) == 1


def test_the_outputs_kept_are_those_of_the_candidates_last_call():
    count = iter(range(100))

    def counting():
        return {"y": np.array([[next(count)]])}

    timed = interleave(counting, called([], "b"), rounds=3)
    assert timed.outputs["y"].item() == WARM_UP + 2


def timed(outputs=OUTPUTS, candidate=(2.0, 4.0, 3.0), baseline=(4.0, 4.0, 9.0)):
    return Timed(np.array(candidate), np.array(baseline), outputs)


def test_the_time_is_the_median_and_the_ratio_that_of_the_pairs():
    time, ratio = latency(ABOUT, 32, timed(), OUTPUTS)
    assert (time.name, time.value, time.unit, time.n) == ("latency_batch_32", 3.0, "s", 3)
    assert (ratio.name, ratio.value, ratio.n) == ("latency_ratio_batch_32", 2.0, 3)  # of 2, 1, 3
    assert 1 <= ratio.interval[0] <= 2 <= ratio.interval[1] <= 3


@pytest.mark.parametrize("factor", [0.001, 1.0, 1000.0])
def test_the_ratio_is_undecided_whatever_it_is(factor):
    found = latency(ABOUT, 1, timed(candidate=np.full(50, factor), baseline=np.ones(50)), OUTPUTS)
    assert [str(m.verdict) for m in found] == ["pass", "undecided"]


def test_the_interval_is_the_same_every_time():
    one, other = (latency(ABOUT, 1, timed(), OUTPUTS)[1].interval for _ in range(2))
    assert one == other


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
    found = latency(ABOUT, 1, timed(outputs), OUTPUTS)[0]
    assert str(found.verdict) == "fail"
    assert found.reason.startswith("the timed call gave other outputs than the runner: ")


@pytest.mark.parametrize("rows", [[[0.25]], [[0.5, 0.5]]], ids=["one sigmoid", "all alike"])
def test_flat_outputs_of_one_image_can_still_be_timed(rows):
    flat = {"y": np.array(rows, np.float32)}
    assert str(latency(ABOUT, 1, timed(flat), flat)[0].verdict) == "pass"


def test_no_round_is_a_failure():
    (found,) = latency(ABOUT, 1, timed({}, candidate=(), baseline=()), OUTPUTS)
    assert (str(found.verdict), found.reason, found.value) == ("fail", "no round ran", None)
