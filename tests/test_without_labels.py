"""Data without labels, and models whose outputs are no answers: judged as far as they can be."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytest_runs import COLLECT, in_one_process
from tools.keras_models import save_model

import conversion
from conversion import Preprocessing
from conversion.core.artifact import Store
from conversion.core.measurement import Verdict
from conversion.proof.checks import accuracy, margins
from conversion.proof.checks.case import Case
from conversion.session import judge
from conversion.subjects import find
from conversion.workspace import Workspace

PLAIN = ("keras-fp32", "onnx-fp32", "torch-fp32")
INT8 = ("onnx-int8", "torch-int8")


def layer(kind, **config):
    return {"module": "keras.layers", "class_name": kind, "config": config}


def ten_numbers(units, activation):
    return [
        layer("InputLayer", batch_shape=[None, 10], dtype="float32", name="ten"),
        layer("Dense", units=16, activation="relu", name="first"),
        layer("Dense", units=8, activation="relu", name="second"),
        layer("Dense", units=units, activation=activation, name="last"),
    ]


MODELS = {
    "scores": ten_numbers(3, "softmax"),
    "chance": ten_numbers(1, "sigmoid"),
    "number": ten_numbers(1, "linear"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, reference):
    """Small models on ten numbers, and numbers for them."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for name, layers in MODELS.items():
        whole = {"module": "keras", "class_name": "Sequential"}
        whole["config"] = {"name": name, "layers": layers}
        save_model(reference, folder / f"{name}.h5", whole, seed=3)
    random = np.random.RandomState(0)
    train, test = random.randn(2, 600, 10).astype(np.float32) / 2
    np.savez(folder / "x.npz", x=test)
    np.savez(folder / "sets.npz", x_train=train, x_test=test)
    np.savez(folder / "targets.npz", x=test, y=random.randn(600))
    return folder


@pytest.fixture(scope="module")
def workspace(folder, reference):
    """Model and data, by name, to their workspace."""

    def workspace(model, data, preprocessing=None):
        path = folder / f"{model}.h5"
        subject = find(str(path), folder / data, preprocessing)
        return Workspace(subject, reference, Store(folder / "store"))

    return workspace


def measured(workspace, artifact, topics=("parity", "accuracy")):
    return {m.name: m for m in judge(Case(workspace, artifact), topics, {})}


@pytest.fixture(scope="module")
def scores(workspace):
    topics = ("structure", "parity", "accuracy", "quantization")
    shared = workspace("scores", "sets.npz")
    return {name: measured(shared, name, topics) for name in (*PLAIN, "onnx-int8")}


@pytest.mark.parametrize("artifact", [*PLAIN, "onnx-int8"])
def test_without_labels_a_good_conversion_passes(scores, artifact):
    bad = [m for m in scores[artifact].values() if m.verdict in (Verdict.FAIL, Verdict.UNDECIDED)]
    assert [m.explain() for m in bad] == []


@pytest.mark.parametrize("artifact", PLAIN[1:])
def test_a_float_artifact_is_asked_for_keras_answers(scores, artifact):
    flips = scores[artifact]["top1_flips"]
    assert (flips.verdict, flips.value, flips.n) == (Verdict.PASS, 0, 600)


def test_an_int8_artifact_is_asked_for_the_float_artifacts_answers(scores):
    agreed = scores["onnx-int8"]["agreement"]
    assert agreed.n == 600
    assert agreed.value > 95


def test_what_needs_labels_says_so(scores):
    for name in ("top1_correct", "top1_change", "class_change", "stability_verdict"):
        skipped = scores["onnx-int8"][name]
        assert skipped.verdict is Verdict.SKIPPED
        assert "no labels: agreement is judged" in skipped.reason


@pytest.mark.parametrize("data", ["x.npz", "targets.npz"])
def test_a_model_of_one_number_is_judged_by_parity_alone(workspace, data):
    found = measured(workspace("number", data), "onnx-fp32")
    assert found["output_error_pooled"].verdict is Verdict.PASS
    assert found["top1_correct"].verdict is Verdict.SKIPPED
    assert "one number that is no probability" in found["top1_correct"].reason
    assert "top1_flips" not in found


def test_one_chance_is_an_answer_at_one_half(workspace):
    found = measured(workspace("chance", "x.npz"), "onnx-fp32")
    assert found["top1_flips"].verdict is Verdict.PASS
    assert found["output_error_pooled"].verdict is Verdict.PASS


@pytest.mark.parametrize("name", INT8)
def test_an_int8_file_says_how_its_images_were_prepared(workspace, name):
    choice = Preprocessing(scale=0.25)
    plain, scaled = (workspace("scores", "x.npz", each).artifact(name) for each in (None, choice))
    assert "preprocessing" not in plain.provenance
    assert scaled.provenance["preprocessing"] == "scale 0.25, mean 0.0, std 1.0"
    assert plain.digest != scaled.digest


def test_images_prepared_beforehand_are_another_entry_of_the_store(folder, workspace):
    with np.load(folder / "x.npz") as found:
        np.savez(folder / "halves.npz", x=found["x"] / 2)
    ours = workspace("scores", "x.npz", Preprocessing(scale=0.5)).artifact("onnx-int8")
    theirs = workspace("scores", "halves.npz").artifact("onnx-int8")
    assert "preprocessing" in ours.provenance
    assert "preprocessing" not in theirs.provenance


@pytest.fixture(scope="module")
def unlabelled(workspaces):
    workspace = workspaces("embedded")
    test = replace(workspace.test.subset(np.arange(400)), labels=None)
    return workspace.of(replace(workspace.subject, test=test))


@pytest.fixture
def of_rows():
    """The fault in the rows of an artifact's outputs; its module imports the frameworks."""
    from conversion.proof.faults.fault import Asked
    from conversion.proof.faults.measuring import of_rows

    def injecting(artifact, edit):
        asked = Asked(artifact, (), None)
        return lambda good, folder: of_rows(lambda rows, _: edit(rows))(good, folder, asked)

    return injecting


def exchanged(rows):
    rows[:, [0, 1]] = rows[:, [1, 0]]
    return rows


@pytest.mark.parametrize(
    ("artifact", "check", "name"),
    [
        ("torch-fp32", accuracy.top1, "top1_flips"),
        ("onnx-int8", margins.agreement, "agreement"),
    ],
)
def test_two_classes_exchanged_fail_without_labels(
    unlabelled, of_rows, tmp_path, artifact, check, name
):
    good = {m.name: m for m in check(Case(unlabelled, artifact))}
    assert good[name].verdict is Verdict.PASS
    injected = of_rows(artifact, exchanged)(unlabelled, tmp_path)
    assert {m.name: m for m in check(Case(injected, artifact))}[name].verdict is Verdict.FAIL


def test_no_numbers_among_the_answers_fail_without_labels(unlabelled, of_rows, tmp_path):
    def lost(rows):
        rows[7] = np.nan
        return rows

    injected = of_rows("torch-fp32", lost)(unlabelled, tmp_path)
    found = {m.name: m for m in accuracy.top1(Case(injected, "torch-fp32"))}
    assert found["top1_flips"].verdict is Verdict.FAIL
    assert "NaN" in found["top1_flips"].reason


def suite(*options):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, options)]
    root = Path(__file__).parent.parent
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_report_says_what_the_data_were(folder):
    found = conversion.verify(
        folder / "scores.h5",
        data=folder / "sets.npz",
        preprocessing=Preprocessing(scale=0.5),
        report=folder / "out",
        store=Store(folder / "store"),
    )
    assert [m.explain() for m in found.measurements if m.verdict is Verdict.FAIL] == []
    data = json.loads((folder / "out" / "report.json").read_text())["data"]
    assert data["test"]["source"] == "sets.npz, x_test"
    assert (data["test"]["images"], data["test"]["labelled"]) == (600, False)
    assert data["train"]["shape"] == [10]
    assert data["train"]["preprocessing"] == "scale 0.5, mean 0.0, std 1.0"


@pytest.mark.slow
def test_pytest_judges_a_model_on_data_without_labels(folder):
    topics = ("-m", "accuracy or quantization or parity")
    ran = suite(f"--model={folder / 'scores.h5'}", f"--data={folder / 'sets.npz'}", *topics)
    assert ran.returncode == 0, ran.stdout
    assert "no labels: agreement is judged" in ran.stdout


REFUSED = {
    "no-model": (("--scale", "1/255"), "Expected --model and --data beside"),
    "no-data": (("--model=scores.h5", "--resize"), "Expected --data beside"),
    "both": (("--preprocess", "vgg16", "--mean", "1"), "Expected --preprocess or --mean"),
}


@pytest.fixture(scope="module")
def refusals(folder):
    path = str(folder / "scores.h5")
    return in_one_process(
        folder / "refused",
        {
            name: (*COLLECT, *(each.replace("scores.h5", path) for each in options))
            for name, (options, _) in REFUSED.items()
        },
    )


@pytest.mark.parametrize("name", REFUSED)
def test_pytest_refuses_preprocessing_that_cannot_be_done(refusals, name):
    code, out, said, _, _ = refusals[name]
    assert code == 4, out
    assert f"ERROR: {REFUSED[name][1]}" in said
