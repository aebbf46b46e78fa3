"""Every family of keras.applications and every other layer: on each route the same model."""

import math

import handmade
import pytest
import zoo_models
import zoo_table
from keras_notation import ONE_BY_ONE

from conversion.proof.metrics import limits
from conversion.readers.schema import LAYERS

KEPT = 50.0
"""Percent of the answers that int8 keeps: drawn weights give logits that are normal about 0, whose
top two lie closer than those of a trained network. The lowest measured is 57.5, of the 770 layers
of NASNet; `vww_96`, which is trained, keeps 100. Chance would be 10."""

FALLBACK = "torch-via-onnx-fp32"
ROUTES_REFUSED = {
    ("sequence", FALLBACK): "AvgPool with non symmetrical padding",
    ("autoencoder", FALLBACK): "ConvTranspose with non symmetrical padding",
    ("resized", FALLBACK): "GlobalMaxPool",
}
"""Model and route to what onnx2torch 1.5.15 has no converter for; every other passes."""

COARSE = {
    ("activated", "onnx-int8"): "7 bits for the weights of the last sum, in front of a softmax",
    ("xception", "onnx-int8"): "7 bits for the weights of a sum of 2,048 terms that nearly cancel",
}
"""Model and int8 artifact to why a layer's SQNR lies below its limit; every other lies above."""

ELSEWHERE = {"StochasticDepth"}
"""ConvNeXt has it only with a drop path: tests/layers/test_application_layers.py. No image model
has layers along three axes: tests/layers/test_volumes.py."""

slow = pytest.mark.slow
pytestmark = [
    # onnx2torch 1.5.15 says so of every nearest-neighbour Resize; parity judges what it computes
    pytest.mark.filterwarnings("ignore:Pytorch's nearest neighbor interpolation:UserWarning")
]


@slow
def test_every_family_that_this_keras_has_is_here(process):
    known = process.call("tools.keras_jobs:known_families", {}).values["families"]
    assert set(known) == set(zoo_models.FAMILIES)


@slow
def test_keras_lies_close_enough_to_the_truth_to_judge_by_it(model):
    _, row = model
    assert row["keras"]["verdict"] == "pass", row["keras"]


@slow
@pytest.mark.parametrize("route", zoo_table.ROUTES)
def test_the_outputs_lie_within_rounding_of_the_truth(model, route):
    name, row = model
    found = row["routes"][route]
    if (name, route) in ROUTES_REFUSED:
        assert found["verdict"] == "refused"
        assert ROUTES_REFUSED[name, route] in found["why"]
    else:
        assert found["verdict"] == "pass", found


@slow
@pytest.mark.parametrize("artifact", zoo_table.INT8)
def test_eight_bits_cost_what_they_may(model, artifact):
    name, row = model
    if artifact not in row["int8"]:
        pytest.skip("a model of several inputs has no images to calibrate on")
    found = row["int8"][artifact]
    assert math.isfinite(found["outputs"])
    assert found["kept"] is None or found["kept"] >= KEPT
    assert (found["own"] < limits.SQNR.value) == ((name, artifact) in COARSE), found


@slow
def test_no_layer_is_taken_for_another(model):
    _, row = model
    made = {**row["routes"], **row["int8"]}.items()
    assert not {name: each["mistaken"] for name, each in made if each.get("mistaken")}


@slow
def test_the_table_says_what_was_measured(model):
    name, row = model
    known = zoo_table.read()["models"][name]
    for part in ("layers", "kinds"):
        assert row[part] == known[part]
    verdicts = [{n: each["verdict"] for n, each in r["routes"].items()} for r in (row, known)]
    assert verdicts[0] == verdicts[1]
    assert row["keras"]["verdict"] == known["keras"]["verdict"]
    for artifact, found in row["int8"].items():
        assert found["outputs"] == pytest.approx(known["int8"][artifact]["outputs"], abs=3.0)


def test_the_page_is_what_the_kept_measurements_render_to():
    page = zoo_table.PAGE.read_text()
    assert zoo_table.rendered(page, zoo_table.read()) == page


def test_the_page_has_every_model():
    assert list(zoo_table.read()["models"]) == list(zoo_models.MODELS)


def test_the_models_together_have_every_layer():
    kept = zoo_table.read()["models"]
    of_families = {kind for name in zoo_models.FAMILIES for kind in kept[name]["kinds"]}
    by_hand = {kind for each in handmade.MODELS.values() for kind in handmade.kinds(each)}
    along_two_axes = {kind for kind in LAYERS if "3D" not in kind}
    left = along_two_axes - of_families - by_hand
    assert {kind for kind in left if not kind.startswith(ONE_BY_ONE)} == ELSEWHERE


@pytest.mark.parametrize("route", zoo_table.ROUTES)
def test_another_number_gives_another_page(route):
    document = zoo_table.read()
    before = zoo_table.table(document)
    document["models"]["vgg16"]["routes"][route]["pooled"] = 9.87
    assert zoo_table.table(document) != before
