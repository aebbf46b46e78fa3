"""Visibility: which standard faults the comparisons that were made would have seen."""

from dataclasses import replace

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

import conversion
from conversion.core.artifact import Store
from conversion.core.quantity import About
from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.checks.fault_effects import IMAGES, effects, extent
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.visibility import STORED, Sight, visibility
from conversion.proof.standard.sample import sample
from conversion.workspace.budget import Streaming
from conversion.workspace.layer_reference import LayerReference

ABOUT = About("small", "onnx-fp32")
DRAWN = np.random.default_rng(0)


def drawn(*shape):
    return DRAWN.normal(size=shape).astype(np.float32)


def dense(name, source, units, inputs=6):
    weights = {"kernel": drawn(inputs, units), "bias": drawn(units)}
    config = {"use_bias": True, "activation": "linear"}
    return Layer(name, "Dense", config, (source,), weights, (units,))


def norm(name, source):
    weights = {
        "gamma": drawn(6) + 2,
        "beta": drawn(6),
        "moving_mean": drawn(6),
        "moving_variance": np.abs(drawn(6)) + 0.1,
    }
    config = {"epsilon": 1e-3, "axis": -1, "scale": True, "center": True}
    return Layer(name, "BatchNormalization", config, (source,), weights, (6,))


SPEC = Spec(
    "small",
    (
        Layer("x", "InputLayer", {}, (), {}, (6,)),
        dense("one", "x", 6),
        norm("norm", "one"),
        Layer("relu", "Activation", {"activation": "relu"}, ("norm",), {}, (6,)),
        dense("two", "relu", 3),
    ),
    ("x",),
    ("two",),
    "0" * 64,
    "3",
)
INPUTS = {"x": drawn(40, 6)}
EXACT = truth.evaluate(SPEC, INPUTS).layers


def noise(name, share=1e-7):
    """Keras's noise at a layer as a part of its rms."""
    level = float(np.sqrt(np.square(EXACT[name]).mean()))
    of_channels = np.full(EXACT[name].shape[-1], share * level)
    of_images = np.full(40, share * level)
    showing = np.full(len(of_channels), 200)
    own = share * level
    levels = np.full(40, level)
    return Difference(name, 200, own, of_channels, of_images, 0.0, level, level, 1, showing, levels)


def reference_of(tmp_path, spec=SPEC, images=40):
    inputs = {"x": INPUTS["x"][:images]}
    return LayerReference(spec, None, Store(tmp_path), inputs, Streaming(10**9, 27, 6, 1))


def found(tmp_path, share, *points):
    reference, faults = reference_of(tmp_path), list(sample(SPEC))
    known = {name: noise(name, share) for name in points}
    heads = dict.fromkeys(SPEC.outputs, "none")
    named = [(each.operator, each.layer.name) for each in faults]
    return dict(zip(named, effects(reference, faults, known, heads, IMAGES), strict=True)), IMAGES


def sight(times, by="two", layer="one"):
    return Sight("one weight off by 1 %", layer, by, times)


def test_each_layer_with_weights_has_three_faults_and_one_is_a_single_weight():
    faults = [(each.layer.name, each.operator) for each in sample(SPEC)]
    assert len(faults) == len(set(faults))
    for layer in ("one", "norm", "two"):
        assert sum(name == layer for name, _ in faults) >= 3
        assert (layer, "one-weight") in faults
    assert {("norm", "channel-times"), ("one", "channel-times")} <= set(faults)


def test_a_fault_that_changes_nothing_is_none():
    plain = {"gamma": np.ones(6, np.float32), "beta": np.ones(6, np.float32)}
    layers = [
        each if each.name != "norm" else Layer(**{**vars(each), "weights": each.weights | plain})
        for each in SPEC.layers
    ]
    spec = Spec(**{**vars(SPEC), "layers": tuple(layers)})
    of_norm = {each.operator for each in sample(spec) if each.layer.name == "norm"}
    assert "gamma-beta-swapped" not in of_norm
    assert "one-weight" in of_norm


def test_a_fault_is_looked_for_at_its_own_layer_where_that_was_compared(tmp_path):
    seen, _ = found(tmp_path, 1e-7, "one", "norm", "relu", "two")
    assert {by for (_, layer), (by, _) in seen.items() if layer == "one"} == {"one"}
    assert seen["activation-missing", "relu"][0] == "relu"


def test_a_fault_of_a_layer_that_was_not_compared_is_followed_to_the_next(tmp_path):
    seen, _ = found(tmp_path, 1e-7, "relu", "two")
    assert {by for (_, layer), (by, _) in seen.items() if layer in ("one", "norm")} == {"relu"}
    assert {by for (_, layer), (by, _) in seen.items() if layer == "two"} == {"two"}


def test_nothing_is_seen_behind_which_nothing_was_compared(tmp_path):
    seen, _ = found(tmp_path, 1e-7, "one")
    assert {each for (_, layer), each in seen.items() if layer == "two"} == {("", 0.0)}


def test_how_far_a_fault_stands_out_is_what_evaluating_all_of_it_gives(tmp_path):
    """The bias of one channel lost moves that channel by it, and no other."""
    seen, images = found(tmp_path, 1e-3, "one", "two")
    wanted = ("channel-times", "one")
    fault = next(each for each in sample(SPEC) if (each.operator, each.layer.name) == wanted)
    wrong = truth.evaluate(fault.put(SPEC), {"x": INPUTS["x"][:images]}).layers["one"]
    error = np.sqrt(np.square(wrong - EXACT["one"][:images]).mean(axis=0)).max()
    known = noise("one", 1e-3)
    assert seen[wanted][1] == pytest.approx(error / known.rms / 10, rel=1e-5)


def test_what_was_evaluated_is_kept(tmp_path, monkeypatch):
    first, _ = found(tmp_path, 1e-7, "two")
    monkeypatch.setattr(truth, "evaluate", None)
    assert found(tmp_path, 1e-7, "two")[0] == first


@pytest.mark.parametrize(("share", "verdict"), [(1e-7, "pass"), (2e-2, "undecided")])
def test_noise_decides_nothing_where_it_hides_the_sample(tmp_path, share, verdict):
    """2 % of the spread, as a freshly initialised EfficientNetB0 has, and only outputs compared."""
    seen, images = found(tmp_path, share, "two")
    sights = [Sight("", layer, *each) for (_, layer), each in seen.items()]
    judged = visibility(ABOUT, sights, ["one", "norm", "two"], images)
    assert str(judged.verdict) == verdict


@pytest.mark.parametrize(("lost", "verdict"), [(1, "pass"), (2, "undecided")], ids=["90 %", "80 %"])
def test_under_nine_tenths_of_the_sample_nothing_is_decided(lost, verdict):
    judged = visibility(ABOUT, [sight(2.0)] * (10 - lost) + [sight(0.4)] * lost, ["one"], 16)
    assert (judged.value, str(judged.verdict)) == (100 - 10 * lost, verdict)


def test_a_layer_with_weights_of_which_nothing_is_seen_leaves_parity_undecided():
    sights = [*[sight(2.0)] * 19, sight(0.4, layer="two")]
    judged = visibility(ABOUT, sights, ["one", "two"], 16)
    assert str(judged.verdict) == "undecided"
    assert judged.reason.startswith("no fault of two would be seen")
    assert str(visibility(ABOUT, sights, ["one"], 16).verdict) == "pass"


def test_a_weight_that_is_known_element_by_element_is_seen_whatever_outputs_say():
    judged = visibility(ABOUT, [sight(0.0, STORED)], ["one"], 16)
    assert (judged.value, str(judged.verdict)) == (100, "pass")


def test_what_would_not_be_seen_is_said_in_one_sentence():
    judged = visibility(ABOUT, [*[sight(3.0)] * 43, sight(0.4)], ["one"], 16)
    assert judged.reason == (
        "43 of 44 standard faults would be seen in onnx-fp32; not seen: one: one weight off by 1 % "
        "(0.4 x the limit)"
    )


def test_how_inputs_were_chosen_is_said_behind_it():
    judged = visibility(ABOUT, [sight(3.0)], ["one"], 16, "every other one is wider")
    assert judged.reason.endswith("would be seen in onnx-fp32; every other one is wider")


def test_a_ceiling_lost_is_a_fault_of_the_sample():
    capped = Layer("relu", "ReLU", {"max_value": 6.0}, ("norm",), {}, (6,))
    layers = tuple(capped if each.name == "relu" else each for each in SPEC.layers)
    faults = {each.operator: each for each in sample(replace(SPEC, layers=layers))}
    assert "ceiling-lost" not in {each.operator for each in sample(SPEC)}
    wrong = faults["ceiling-lost"].put(replace(SPEC, layers=layers))
    assert wrong.layer("relu").config["max_value"] is None


WORK = {"one": 36, "norm": 6, "relu": 6, "two": 18}
"""Products and sums of an image by layer: of Dense layers inputs times outputs."""


def test_no_more_of_the_sample_is_evaluated_than_the_truth_of_the_layers_costs(tmp_path):
    """With outputs alone in view a fault costs all that is behind it."""
    faults = list(sample(SPEC))
    behind = {"one": 66, "norm": 30, "relu": 24, "two": 18}
    one = sum(behind[each.layer.name] for each in faults)
    truth_of_40 = 40 * (sum(WORK.values()) + 6)  # the input's values are counted, too
    asked = extent(reference_of(tmp_path), faults, ["two"])
    assert (list(asked.faults), asked.images) == (faults, truth_of_40 // one)
    tapped = extent(reference_of(tmp_path), faults, list(WORK))
    assert tapped.images > asked.images


def test_where_one_image_costs_too_much_faults_of_every_layer_are_left_out(tmp_path):
    faults = list(sample(SPEC)) * 20
    asked = extent(reference_of(tmp_path, images=20), faults, ["two"])
    assert asked.images == 1
    assert 1 < len(asked.faults) < len(faults)
    assert {each.layer.name for each in asked.faults} == {each.layer.name for each in faults}


def deep(last="linear"):
    """An anomaly detector as MLPerf Tiny's: Dense layers, each but the last with its norm."""
    layers = [("InputLayer", {"batch_shape": [None, 40], "dtype": "float32", "name": "x"})]
    for index in range(9):
        units = 8 if index == 4 else 32
        layers += [
            ("Dense", {"units": units, "name": f"dense_{index}"}),
            ("BatchNormalization", {"epsilon": 1e-3, "name": f"norm_{index}"}),
            ("Activation", {"activation": "relu", "name": f"relu_{index}"}),
        ]
    return [*layers, ("Dense", {"units": 40, "activation": last, "name": "out"})]


def test_a_deep_network_is_decided_by_the_faults_that_would_be_seen(
    reference, one_process, tmp_path
):
    path = save_model(reference, tmp_path / "deep.keras", sequential("deep", deep()), seed=1)
    ran = conversion.verify(str(path), topics=["structure", "parity"])
    judged = [m for m in ran.measurements if m.name == "faults_visible"]
    assert {m.artifact for m in judged} >= {"onnx-fp32", "torch-fp32"}
    assert all(m.value >= 90 and m.verdict == "pass" for m in judged)
    assert "standard faults would be seen in onnx-fp32" in ran.table
    assert ran.exit_code() == 0


def test_outputs_that_do_not_vary_stay_undecided(reference, one_process, tmp_path):
    """Softmax of one unit is 1."""
    layers = [*deep()[:4], ("Dense", {"units": 1, "activation": "softmax", "name": "one"})]
    path = save_model(reference, tmp_path / "flat.keras", sequential("flat", layers), seed=1)
    ran = conversion.verify(str(path), topics=["parity"], backends=["torch-fp32"])
    assert ran.exit_code() == 4
