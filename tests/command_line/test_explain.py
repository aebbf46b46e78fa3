"""`conversion explain`: a name in a report, in words."""

import pytest


def test_a_measurement_is_explained_with_its_unit_limit_and_artifacts(run):
    code, out, _ = run("explain", "layer_sqnr")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("layer_sqnr: the signal to quantization noise ratio of the layer")
    assert "  unit: dB" in lines
    assert any(
        line.startswith("  limit: >= -3, since of a layer from what ideal rounding ")
        for line in lines
    )
    assert "  artifacts: onnx-int8, torch-int8, litert-int8" in lines


def test_a_name_that_two_checks_measure_is_explained_for_both(run):
    _, out, _ = run("explain", "top1_change")
    assert [line for line in out.splitlines() if line.startswith("  topic")] == [
        "  topic: accuracy",
        "  topic: quantization",
    ]


@pytest.mark.parametrize("name", ["calibration-stability", "calibration_stability"])
def test_a_check_is_explained_with_what_it_measures(run, name):
    code, out, _ = run("explain", name)
    assert code == 0
    assert "  measures: stability_verdict, stability_change, stability_agreement\n" in out


def test_without_a_name_every_measurement_has_a_line(run):
    code, out, _ = run("explain")
    assert code == 0
    names = [line.partition(": ")[0] for line in out.splitlines()]
    assert len(names) > 60
    assert {"built", "output_error_pooled", "ranges_again", "latency_ratio_batch_32"} <= set(names)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("layer_snqr", "near it: layer_sqnr"), ("q", "`conversion explain` lists them all")],
    ids=["misspelt", "like none"],
)
def test_an_unknown_name_is_a_mistake_in_one_sentence(run, name, advice):
    code, out, said = run("explain", name)
    assert (code, out) == (2, "")
    assert f"got '{name}'; {advice}" in said
    assert len(said.splitlines()) == 1
