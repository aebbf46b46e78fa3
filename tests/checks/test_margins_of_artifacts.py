"""Margins, agreement, levels and ranges of real artifacts, good and with a fault in them."""

from dataclasses import replace

import pytest

from conversion.core.settings import (
    CalibrationChoice,
    OnnxScheme,
    Settings,
    TorchScheme,
)
from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace


@pytest.fixture(scope="module")
def few(reference, store):
    """The embedded model with 400 images, 120 of them to calibrate on."""
    from conversion.subjects import embedded
    from conversion.subjects.embedded_images import generate

    sets = {split: Dataset(*generate(split, 400), source=split) for split in ("train", "test")}
    model = embedded.Path(embedded.__file__).with_name("embedded.h5")
    chosen = Settings(calibration=CalibrationChoice(120))
    subject = Subject("embedded-few", model, read_spec(model), **sets)
    return Workspace(subject, reference, store, chosen)


def measured(workspace, artifact, check):
    """The measurements of a check by name, each as its verdict and reason."""
    from conversion.proof.checks import checks
    from conversion.proof.checks.case import Case

    (function,) = (each.measure for each in checks(artifact) if each.name == check)
    return {m.name: m for m in function(Case(workspace, artifact))}


def verdicts(found):
    return {name: str(m.verdict) for name, m in found.items()}


def test_every_answer_of_a_good_artifact_is_certified(few):
    found = measured(few, "torch-fp32", "margins")
    assert verdicts(found) == {"margin_certified": "pass", "margin_lost": "pass"}
    assert (found["margin_certified"].value, found["margin_certified"].n) == (100, 400)


def test_without_data_the_parity_images_are_certified(few):
    blind = replace(few, subject=replace(few.subject, test=None, train=None))
    found = measured(blind, "torch-fp32", "margins")
    assert (str(found["margin_certified"].verdict), found["margin_certified"].n) == ("pass", 200)


def test_a_dense_kernel_two_percent_too_large_leaves_answers_without_a_certificate(few, tmp_path):
    from conversion.proof.faults.injection import in_state

    def larger(state):
        state["dense.weight"] *= 1.02

    found = measured(in_state(larger)(few, tmp_path), "torch-fp32", "margins")
    assert verdicts(found) == {"margin_certified": "fail", "margin_lost": "fail"}
    assert found["margin_lost"].layer == "dense"


def wrong_scale(model):
    """The first convolution gives eight times what it should."""
    from onnx import numpy_helper

    node = next(n for n in model.graph.node if n.op_type == "QLinearConv")
    scale = next(t for t in model.graph.initializer if t.name == node.input[6])
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * 8, scale.name))


def test_int8_agrees_with_float_until_a_scale_is_wrong(few, tmp_path):
    from conversion.proof.faults.injection import in_onnx

    good = measured(few, "onnx-int8", "agreement")["agreement"]
    assert (str(good.verdict), good.n) == ("pass", 400)
    assert 0 < good.rows[0]["certified"] <= good.value
    bad = in_onnx(lambda graph: wrong_scale(graph.model), "onnx-int8")(few, tmp_path)
    found = measured(bad, "onnx-int8", "agreement")["agreement"]
    assert str(found.verdict) == "fail"
    assert "answers are not onnx-fp32's" in found.reason


@pytest.mark.parametrize("scheme", ["qoperator", "qdq"])
def test_a_good_int8_file_is_the_same_with_and_without_optimisation(few, scheme):
    workspace = few.with_settings(replace(few.settings, onnx=OnnxScheme(format=scheme)))
    found = measured(workspace, "onnx-int8", "optimisation-levels")
    assert verdicts(found) == {"levels_layers": "pass", "levels_answers": "pass"}
    assert len(found["levels_layers"].rows) == 16


def test_scales_along_the_wrong_axis_show_without_optimisation_and_are_named(few, tmp_path):
    from conversion.proof.faults.injection import in_onnx

    def along_the_inputs(model):
        square = next(t.name for t in model.graph.initializer if list(t.dims) == [64, 64, 3, 3])
        node = next(n for n in model.graph.node if square in n.input)
        next(a for a in node.attribute if a.name == "axis").i = 1

    qdq = few.with_settings(replace(few.settings, onnx=OnnxScheme(format="qdq")))
    bad = in_onnx(lambda graph: along_the_inputs(graph.model), "onnx-int8")(qdq, tmp_path)
    found = measured(bad, "onnx-int8", "optimisation-levels")
    assert verdicts(found) == {"levels_layers": "fail", "levels_answers": "fail"}
    assert found["levels_layers"].layer == "batch_normalization_6"


def test_a_good_float_file_is_the_same_with_and_without_optimisation(few):
    assert verdicts(measured(few, "onnx-fp32", "optimisation-levels")) == {"levels_error": "pass"}


@pytest.mark.parametrize("method", ["minmax", "entropy"])
def test_good_onnx_ranges_are_the_references_by_either_method(few, method):
    workspace = few.with_settings(replace(few.settings, onnx=OnnxScheme(method=method)))
    found = measured(workspace, "onnx-int8", "ranges")
    assert set(verdicts(found).values()) == {"pass"}
    assert {len(m.rows) for m in found.values()} == {25}
    assert {m.reason for m in found.values()} == {""}


@pytest.mark.parametrize("method", ["minmax", "histogram"])
def test_good_torch_ranges_are_the_references_by_either_method(few, method):
    workspace = few.with_settings(replace(few.settings, torch=TorchScheme(method=method)))
    found = measured(workspace, "torch-int8", "ranges")
    assert set(verdicts(found).values()) == {"pass"}
    assert {len(m.rows) for m in found.values()} == {14}


def test_of_the_calibration_of_an_external_file_nothing_is_said(few):
    external = replace(few, external={"onnx-int8": few.artifact("onnx-int8").path})
    (found,) = measured(external, "onnx-int8", "calibration").values()
    assert str(found.verdict) == "skipped"
    assert "external" in found.reason


def test_the_ranges_of_an_external_file_fit_the_calibration_images(few):
    external = replace(few, external={"onnx-int8": few.artifact("onnx-int8").path})
    assert verdicts(measured(external, "onnx-int8", "ranges")) == {"ranges_fit": "pass"}


@pytest.mark.parametrize("check", ["agreement", "evidence"])
def test_without_data_there_is_nothing_to_agree_on(few, check):
    blind = replace(few, subject=replace(few.subject, test=None))
    (found,) = measured(blind, "onnx-int8", check).values()
    assert (str(found.verdict), found.reason) == ("skipped", "no data: pass --data FILE")


def test_predictions_that_are_not_the_files_own_are_seen(few, tmp_path):
    from conversion.core.artifact import Store

    known = few.outputs("keras-fp32", few.test)
    injected = few.injected(Store(tmp_path / "store"), outputs=lambda name, data: known)
    found = measured(injected, "torch-fp32", "evidence")["own_predictions"]
    assert (str(found.verdict), found.reason) == ("fail", "predictions are Keras's own bytes")
    assert set(verdicts(measured(few, "torch-fp32", "evidence")).values()) == {"pass"}


def test_two_copies_of_one_file_are_not_timed(few, tmp_path):
    from conversion.core.artifact import Store

    float_file = few.artifact("onnx-fp32")
    copy = replace(float_file, name="onnx-int8")
    injected = few.injected(Store(tmp_path / "store"), {"onnx-int8": copy})
    (found,) = measured(injected, "onnx-int8", "speed").values()
    assert (str(found.verdict), found.value) == ("fail", None)
    assert found.reason == "two copies of one file: onnx-int8 is onnx-fp32"
