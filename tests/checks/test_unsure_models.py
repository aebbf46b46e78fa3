"""Two real int8 models that lose a little: what is said of them follows from intervals alone."""

import numpy as np
import pytest

from conversion.core.measurement import Concern, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics.accuracy import tally, top1_change, top1_non_inferiority
from conversion.proof.metrics.agreement import Ideal, agreement
from conversion.proof.metrics.limits import AGREEMENT_OUTER
from conversion.proof.metrics.quantities import LAYER_SQNR
from conversion.report.costs import costs

ABOUT = About("unsure", "onnx-int8")


def answers(n, right, lost, gained, other):
    """Scores of two models over three classes, whose images are all of class 0."""
    before = np.where(np.arange(n) < right, 0, 1)
    after = before.copy()
    after[:lost] = 1
    after[right : right + gained] = 0
    after[right + gained : right + gained + other] = 2  # wrong before, wrong otherwise now
    one_hot = np.eye(3, dtype=np.float32)
    return one_hot[before], one_hot[after]


SMALL = answers(10_000, 7_190, 150, 111, 79)
"""71.9 % right, 39 answers fewer of 10,000, 340 answers that are not the float model's."""

MEDICAL = answers(4_800, 4_200, 96, 12, 0)
"""96 lost and 12 gained of 4,800: 1.75 points."""


def tallies(scores):
    labels = np.zeros(len(scores[0]), np.int64)
    return [tally(each, labels) for each in scores]


def test_a_weak_network_agrees_as_far_as_it_can():
    (found,) = agreement(ABOUT, *SMALL, AGREEMENT_OUTER.value, "onnx-fp32")
    assert found.value == pytest.approx(96.6)
    assert found.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("ideal", "verdict"),
    [
        (Ideal(33, 1_000), Verdict.PASS),
        (Ideal(20, 1_000), Verdict.PASS),  # 340 of 10,000 for 300: chance
        (Ideal(10, 1_000), Verdict.FAIL),
        (Ideal(3, 10), Verdict.PASS),
    ],
    ids=["as good", "by chance", "worse", "few images"],
)
def test_a_weak_network_is_held_to_what_ideal_rounding_changes(ideal, verdict):
    (found,) = agreement(ABOUT, *SMALL, AGREEMENT_OUTER.value, "onnx-fp32", ideal=ideal)
    assert (found.verdict, found.limit) == (verdict, pytest.approx(ideal.limit))
    assert str(ideal) in found.reason


@pytest.mark.parametrize(("changed", "is_chance"), [(7, True), (8, False)])
def test_chance_is_a_binomial_share_at_the_limit(changed, is_chance):
    """Where ideal rounding changes none of as many, 0.6 ^ 7 = 0.028 and 0.6 ^ 8 = 0.017."""
    assert Ideal(0, 1_000).explains(changed, 1_000) is is_chance


@pytest.mark.parametrize(
    ("scores", "margin", "interval", "verdict"),
    [
        (SMALL, -5.0, (-0.7066, -0.0732), Verdict.PASS),
        (MEDICAL, -5.0, (-2.1725, -1.3260), Verdict.PASS),
        (MEDICAL, -1.0, (-2.1725, -1.3260), Verdict.FAIL),
    ],
    ids=["small", "medical", "medical, one point allowed"],
)
def test_the_interval_decides_what_a_loss_is(scores, margin, interval, verdict):
    found = top1_non_inferiority(ABOUT, *tallies(scores), margin, cached=False)
    # (c - b) / (n + 2) +- 1.96 s / sqrt(n + 2), half a count added to each cell, by hand.
    assert found.interval == pytest.approx(interval, abs=2e-3)
    assert (found.verdict, found.concerns) == (verdict, Concern.COST)


def test_from_one_point_on_it_is_said_what_costs_it():
    rows = tuple({"layer": n, "damage": d} for n, d in (("a+bn", 0.2), ("b", 0.1), ("c", 0.0)))
    ranked = ABOUT.measure(LAYER_SQNR, 25.0, rows=rows)
    losses = [
        [ranked, top1_change(ABOUT, *tallies(scores), None, "quantization", cached=False)]
        for scores in (MEDICAL, SMALL)
    ]
    (said,) = costs(losses[0])
    assert said.startswith("onnx-int8: a costs most")
    assert said.endswith("--float-layers a,b")
    assert costs(losses[1]) == []


@pytest.mark.parametrize(("decibels", "said"), [(9.9, 1), (10.0, 0)])
def test_a_layer_that_is_mostly_noise_is_named_without_labels_too(decibels, said):
    rows = ({"layer": "a+bn", "damage": 1.2},)
    assert len(costs([ABOUT.measure(LAYER_SQNR, decibels, limit=0.0, rows=rows)])) == said
