"""Saturation without VNNI: excluded by the weights, emulated, or not to be decided."""

from dataclasses import replace

import numpy as np
import pytest

from conversion.core.measurement import Verdict
from conversion.core.quantity import About
from conversion.proof.metrics.saturation import Effect, Sums, saturation

ABOUT = About("it", "onnx-int8")
SAFE = Sums("a", "QLinearConv", 0.9, 1.5, 0, 8)
RISKY = Sums("b", "QLinearConv", 1.4, 1.9, 2, 8, saturated=0.01, changed=0.05)


def effect(flipped, moved=0):
    """A hundred images of two classes of which some answers flip and some results move."""
    exact = np.tile([[200, 10], [10, 200]], (50, 1)).astype(np.uint8)
    wrong = exact.copy()
    wrong[:flipped] = wrong[:flipped, ::-1]
    last = exact.copy()
    last[:moved] += 20
    return Effect((exact, last), (exact.astype(np.float32), wrong.astype(np.float32)))


def verdicts(layers, what):
    return {m.name: m.verdict for m in saturation(ABOUT, layers, what)}


def test_weights_that_cannot_leave_16_bits_pass_without_an_emulation():
    (found,) = saturation(ABOUT, [SAFE], None)
    assert (found.verdict, found.value) == (Verdict.PASS, 0.0)
    assert "in a, takes 90 %" in found.reason


def test_saturation_that_changes_nothing_passes():
    assert set(verdicts([SAFE, RISKY], effect(0)).values()) == {Verdict.PASS}


@pytest.mark.parametrize(("flipped", "verdict"), [(1, Verdict.PASS), (2, Verdict.FAIL)])
def test_one_answer_of_a_hundred_may_flip(flipped, verdict):
    assert verdicts([RISKY], effect(flipped))["saturation_answers"] is verdict


def test_results_that_move_fail_though_no_answer_flips():
    found = verdicts([RISKY], effect(0, moved=60))
    assert found == {"saturation_logits": Verdict.FAIL, "saturation_answers": Verdict.PASS}


def test_the_layer_whose_results_change_most_is_named_with_what_to_do():
    other = Sums("c", "QGemm", 1.9, 1.9, 1, 8, saturated=0.5, changed=0.01)
    (_, found) = saturation(ABOUT, [RISKY, other], effect(50))
    assert found.layer == "b"
    assert "1 % of the sums of two products in b saturate" in found.reason
    assert "float_layers" in found.reason


@pytest.mark.parametrize(
    "layer",
    [
        Sums("b", "MatMulInteger", 1.4, 1.9, 2, 8),
        Sums("b", "QGemm", 1.4, 1.9, 2, 8, saturated=0.0, changed=0.0, faithful=False),
    ],
    ids=["not emulated", "not ONNX Runtime's bits"],
)
def test_what_the_emulation_cannot_give_is_undecided(layer):
    (found,) = saturation(ABOUT, [layer], effect(0))
    assert found.verdict is Verdict.UNDECIDED
    assert "b" in found.reason


def test_operators_that_are_not_emulated_at_all_are_undecided():
    assert verdicts([Sums("b", "MatMulInteger", 1.4, 1.9, 2, 8)], None) == {
        "saturation_logits": Verdict.UNDECIDED
    }


def test_an_emulation_that_gives_other_outputs_than_the_file_is_undecided():
    other = replace(effect(0), deployed=False)
    assert verdicts([RISKY], other) == {"saturation_logits": Verdict.UNDECIDED}


def test_results_that_are_all_alike_have_no_power():
    flat = np.full((9, 2), 7, np.uint8)
    assert verdicts([RISKY], Effect((flat, flat), None)) == {"saturation_logits": Verdict.UNDECIDED}


def test_outputs_that_are_no_answers_are_judged_by_the_last_layer_alone():
    assert set(verdicts([RISKY], replace(effect(0), scores=None))) == {"saturation_logits"}


def test_every_layer_has_a_row():
    (found, _) = saturation(ABOUT, [SAFE, RISKY], effect(0))
    assert [row["layer"] for row in found.rows] == ["a", "b"]
    assert found.rows[1]["pairs that can saturate"] == "2 of 8"
