"""What a search may try, and in which order."""

import pytest

from conversion.core.settings import OnnxScheme, Settings
from conversion.proof.search import candidates
from conversion.proof.search.candidates import Worth

START = Settings()


def test_the_default_all_eight_bits_and_what_most_notes_recommend_come_first():
    first, eight, third, *_ = candidates.schemes(START)
    assert first.settings.onnx == OnnxScheme()
    assert (eight.settings.onnx.weights, eight.settings.onnx.seven_bits) == ("int8", False)
    scheme = third.settings.onnx
    assert (scheme.activations, scheme.weights, scheme.per_channel) == ("uint8", "uint8", False)


def test_every_label_is_another():
    every = [*candidates.schemes(START), *candidates.calibrations(START, [250, 2000])]
    assert len({each.label for each in every}) == len(every)


def test_calibration_is_tried_on_the_best_scheme_so_far():
    best = Settings(onnx=OnnxScheme(format="qdq"))
    found = candidates.calibrations(best, [250, 1000])
    assert {each.settings.onnx.format for each in found} == {"qdq"}
    assert [each.settings.onnx.method for each in found] == ["entropy", "percentile", "minmax"]
    assert found[-1].settings.calibration.count == 250  # 1000 is what it has


WORTH = [
    Worth("cheap", damage=0.01, cost=1e-6),
    Worth("free", damage=0.001, cost=-2e-6),
    Worth("dear", damage=0.02, cost=5e-5),
    Worth("useful", damage=0.02, cost=1e-6),
    Worth("useless", damage=0.0001, cost=5e-5),
]


def test_layers_that_cost_nothing_come_first_and_then_most_damage_for_the_time():
    found = [each.settings.onnx.float_layers for each in candidates.layers(START, WORTH)]
    assert found == [("free",), ("useful",), ("cheap",)]


def test_a_layer_is_tried_for_a_stated_reason():
    why = candidates.layers(START, WORTH)[0].why
    assert why == "0.1% of the damage for -2 us"


@pytest.mark.parametrize("helpful", [[], ["free"]])
def test_fewer_than_two_helpful_layers_are_not_joined(helpful):
    worth = {each.layer: each for each in WORTH}
    assert candidates.joined(START, helpful, worth) == []


def test_helpful_layers_are_joined():
    worth = {each.layer: each for each in WORTH}
    (found,) = candidates.joined(START, ["free", "useful"], worth)
    assert found.settings.onnx.float_layers == ("free", "useful")
    assert "free+useful in float" in found.label


def test_other_runtimes_are_tried_only_where_they_are_asked_for():
    assert candidates.others(START, ["onnx-int8"]) == []
    found = candidates.others(START, ["onnx-int8", "torch-int8", "litert-int8"])
    assert [each.backend for each in found] == ["torch-int8", "torch-int8", "litert-int8"]


def test_a_layer_whose_sums_overflow_elsewhere_is_left_in_float():
    (found,) = candidates.without_overflow(Settings(onnx=OnnxScheme(reduce_range=False)), "first")
    assert found.label.startswith("uint8-int8-channel-qoperator-minmax, first in float")
    assert found.why == "its sums of products overflow without VNNI"
