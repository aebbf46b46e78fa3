"""Networks that nobody drew: read, converted, quantized and judged without a false red."""

import re
from pathlib import Path

import numpy as np
import pytest
from generated.drawing import Drawing
from generated.judging import images, judged, save
from generated.networks import Network, networks, of_seed
from hypothesis import HealthCheck, given, settings
from keras_notation import ONE_BY_ONE
from tools.many_networks import summary

from conversion.proof import truth
from conversion.readers import read_spec

SAMPLE = range(40)
MENDED = (98, 101, 111, 115, 119, 132, 137, 153, 163, 177, 190, 197, 211, 218, 274, 320, 327, 336)
MENDED += (348, 350, 356, 398, 437, 499)
"""Networks of others that were red or undecided, and are right: each for a reason of its own."""
FAULTS = Path(__file__).parents[1] / "converter_faults"
DAILY = (27,)
"""Of the sample, those judged each day: the quickest."""
CONVERTERS = {
    2: ("litert_minimum", {("litert-int8", "ranges")}),
    9: ("litert_conv3d_transpose", {("litert-int8", "ranges")}),
    22: ("litert_unit_normalization", {("litert-int8", "layer_sqnr")}),
    35: ("litert_cut_ranges", {("litert-int8", "ranges")}),
    37: ("litert_minimum", {("litert-int8", "ranges")}),
    39: ("litert_choice", {("litert-int8", "ranges")}),
}
"""Seed to the script in `tests/converter_faults` that shows what a converter does wrong by itself,
and to what is red for it, which is right."""
OPEN: dict[int, str] = {}
"""Seed to what is red in it and not mended, or may be; the others are expected to be green."""
NOISE = 1e-3
"""Of the outputs' spread: float32 against float64. Networks of other weights are off by about 1."""


def clean(seed):
    daily = [] if seed in DAILY else [pytest.mark.slow]
    known = [pytest.mark.xfail(reason=OPEN[seed], strict=False)] if seed in OPEN else []
    return pytest.param(seed, marks=[*daily, *known], id=f"network {seed}")


@pytest.mark.parametrize("seed", [clean(each) for each in (*SAMPLE, *MENDED)])
def test_what_is_red_in_a_drawn_network_is_what_a_converter_does_wrong(reference, tmp_path, seed):
    found = judged(reference, seed, tmp_path)
    _, wanted = CONVERTERS.get(seed, ("", set()))
    assert {about(each) for each in found.bad} == wanted, found.bad
    assert found.code == (1 if wanted else 0)
    assert {"keras-fp32", "onnx-fp32"} <= {*found.made}


def about(sentence):
    """The artifact and the name of a measurement in words."""
    said = re.fullmatch(r"\w+: ([\w-]+).*? on \w+(?: in layer '[^']*')?: (\w+).*", sentence, re.S)
    return said.groups()


def test_a_sentence_is_about_a_measurement_of_an_artifact():
    scheme = "litert-int8[int8-channel-minmax, norm on top+dense in float]"
    said = f"fail: {scheme} on drawn_9 in layer 'a/b': ranges = 0.1 of the range: on a line: x = 1"
    assert about(said) == ("litert-int8", "ranges")
    assert about("undecided: onnx-int8 on drawn_15: batch_1: no power") == ("onnx-int8", "batch_1")


@pytest.mark.parametrize("seed", CONVERTERS)
def test_a_red_that_is_right_has_a_script_that_shows_it(seed):
    script, _ = CONVERTERS[seed]
    assert (FAULTS / f"{script}.py").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [each for each in SAMPLE if each not in (*OPEN, *CONVERTERS)][:12])
def test_a_fault_in_an_artifact_of_a_drawn_network_is_caught(reference, tmp_path, seed):
    found = judged(reference, seed, tmp_path, faulty=True)
    assert not found.fault or found.caught


@settings(max_examples=4, suppress_health_check=[*HealthCheck], derandomize=True)
@given(drawn=networks())
def test_the_truth_of_a_drawn_network_is_what_keras_computes(reference, tmp_path, drawn: Network):
    path = save(reference, drawn, 1, tmp_path)
    spec, given_images = read_spec(path), images(drawn, 2, 8)
    exact = truth.evaluate(spec, given_images, spec.outputs).layers
    found = reference.model(path, spec).outputs(given_images)
    for name in spec.outputs:
        apart = np.sqrt(((found[name] - exact[name]) ** 2).mean())
        assert apart <= NOISE * max(exact[name].std(), 1e-3)


def test_a_seed_draws_the_same_network_each_time():
    assert of_seed(11) == of_seed(11)
    assert of_seed(11) != of_seed(12)


def test_the_drawn_networks_are_deep_and_of_every_kind():
    kinds, depths = set(), []
    for seed in range(300):
        found = list(layers(of_seed(seed).config))
        kinds |= {each["class_name"] for each in found}
        depths.append(len(found))
    assert np.median(depths) >= 12
    from conversion.readers.schema import LAYERS

    of_applications = {"LayerScale", "StochasticDepth", "CustomScaleLayer"}
    left = {kind for kind in {*LAYERS} - kinds if not kind.startswith(ONE_BY_ONE)}
    assert left == of_applications


def layers(described):
    """The layers of a description, those of the models inside too."""
    for each in described["config"]["layers"]:
        if "layers" in each["config"]:
            yield from layers(each)
        else:
            yield each


def test_no_layer_stands_in_anothers_settings_where_a_file_cannot_hold_it():
    from generated import activations

    net = Drawing(lambda options: list(options)[-1], in_settings=False)
    assert isinstance(activations.argument(net), str)


def test_a_summary_names_what_is_red_and_what_was_missed():
    rows = [
        {"seed": 1, "code": 0, "seconds": 2.0, "fault": "f", "caught": [], "localised": False},
        {"seed": 2, "code": 1, "seconds": 4.0, "bad": ["fail: it"], "fault": ""},
        {"seed": 3, "code": 1, "bad": ["fail: litert-int8 on x"], "confirmed": ["litert-int8"]},
    ]
    said = "\n".join(summary(rows))
    assert "3 networks, by exit code {0: 1, 1: 2}" in said
    assert "1 red as TensorFlow alone shows: 3" in said
    assert "2: 1\n    fail: it" in said
    assert "1: missed f; the power table: no row of it" in said
