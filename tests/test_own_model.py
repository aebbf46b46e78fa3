"""A user's own model and data, from Python, from the command line and from pytest."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

import conversion
from conversion import UserError
from conversion.core.artifact import Store
from conversion.core.measurement import Verdict
from conversion.readers import read_spec
from conversion.report.explanation import explain

LAYERS = [
    ("InputLayer", {"batch_shape": [None, 12, 12, 3], "dtype": "float32", "name": "image"}),
    (
        "Conv2D",
        {"filters": 6, "kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "name": "conv"},
    ),
    ("BatchNormalization", {"epsilon": 1e-3, "name": "norm"}),
    ("ReLU", {"name": "relu"}),
    ("Flatten", {"name": "flat"}),
    ("Dense", {"units": 4, "activation": "softmax", "name": "scores"}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def model(folder, reference):
    path = folder / "mine.h5"
    config = sequential("mine", LAYERS)
    save_model(reference, path, config, seed=3)
    return path


@pytest.fixture(scope="module")
def data(folder, model, reference):
    """Images in 0..3, so that the small network's probabilities are not all 0 or 1."""
    images = np.random.RandomState(1).randint(0, 4, (600, 12, 12, 3)).astype(np.float32)
    spec = read_spec(model)
    scores = reference.model(model, spec).outputs({"image": images})["scores"]
    labels = scores.argmax(axis=1)
    labels[::7] = (labels[::7] + 1) % 4
    path = folder / "mine.npz"
    np.savez(path, x=images, y=labels)
    return path


FLOAT = ("keras-fp32", "onnx-fp32", "torch-fp32", "torch-via-onnx-fp32")


@pytest.fixture(scope="module")
def verified(folder, model, data):
    return conversion.verify(
        model, data=data, backends=FLOAT, report=folder / "out", store=Store(folder / "store")
    )


def test_a_good_conversion_passes(verified):
    assert [m.explain() for m in verified.measurements if m.verdict is Verdict.FAIL] == []
    assert verified.exit_code() == 0


def test_the_report_holds_every_measurement_and_artifact(verified, folder):
    written = json.loads((folder / "out" / "report.json").read_text())
    assert len(written["measurements"]) == len(verified.measurements)
    assert [entry["name"] for entry in written["artifacts"]] == list(FLOAT)
    assert (folder / "out" / "artifacts" / "onnx-fp32.onnx").is_file()
    assert (folder / "out" / "report.html").is_file()
    assert (folder / "out" / "conversion.log").is_file()


def test_every_measurement_is_explained(verified):
    for m in verified.measurements:
        said = explain(m.name)
        assert said.startswith(f"{m.name}: ")
        assert m.artifact in said.partition("artifacts: ")[2]


def test_calibration_is_held_out_of_the_one_labelled_set(verified):
    counts = {m.n for m in verified.measurements if m.name == "top1_correct"}
    assert counts == {480}  # a fifth of 600 is kept for calibration


def test_without_data_accuracy_is_a_skip_that_names_the_option(folder, model, one_process):
    found = conversion.verify(
        model, backends=["keras-fp32"], topics=["accuracy"], store=Store(folder / "s")
    )
    skipped = {m.name: m.reason for m in found.measurements if m.verdict is Verdict.SKIPPED}
    assert set(skipped) == {"top1_correct", "images_evaluated"}
    assert all("--data FILE" in reason for reason in skipped.values())


@pytest.fixture(scope="module")
def damaged(verified, folder):
    """One kernel weight of the ONNX file off by 1 %, made with onnx alone."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(folder / "out" / "artifacts" / "onnx-fp32.onnx")
    (kernel,) = (t for t in model.graph.initializer if list(t.dims) == [6, 3, 3, 3])
    values = numpy_helper.to_array(kernel).copy()
    values.reshape(-1)[np.abs(values).argmax()] *= 1.01
    kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
    onnx.save(model, folder / "damaged.onnx")
    return folder / "damaged.onnx"


@pytest.mark.slow
def test_a_damaged_file_from_elsewhere_fails_parity(folder, model, data, damaged):
    found = conversion.verify(
        model,
        data=data,
        backends=["keras-fp32", "onnx-fp32"],
        artifacts={"onnx-fp32": damaged},
        topics=["parity"],
        store=Store(folder / "store"),
    )
    failed = [m.name for m in found.measurements if m.verdict is Verdict.FAIL]
    assert "output_error_pooled" in failed
    assert found.exit_code() == 1


def test_a_file_of_another_model_is_refused_in_one_sentence(folder, model, workspaces, one_process):
    other = workspaces("embedded").artifact("onnx-fp32").path
    with pytest.raises(UserError, match=r"Expected onnx-fp32\.onnx to take") as refused:
        conversion.verify(model, artifacts={"onnx-fp32": other}, store=Store(folder / "store"))
    assert "\n" not in str(refused.value)


def suite(*options, store):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, options)]
    root = Path(__file__).parent.parent
    known = {**os.environ, "CONVERSION_CACHE_DIR": str(store)}
    return subprocess.run(command, cwd=root, env=known, capture_output=True, text=True, timeout=300)


def test_pytest_judges_a_users_own_model(model, data, verified, folder):
    named = (f"--model={model}", f"--data={data}")
    chosen = ("-m", "parity", "-k", "test_parity and (onnx-fp32 or torch-fp32)")  # in the store
    ran = suite(*named, *chosen, store=folder / "store")
    assert ran.returncode == 0, ran.stdout
    assert "onnx-fp32" in ran.stdout
    assert "embedded" not in ran.stdout


@pytest.mark.slow
def test_pytest_fails_on_a_damaged_file(model, data, damaged, folder):
    chosen = ("-k", "test_parity and onnx-fp32 and not via")
    named = (f"--model={model}", f"--data={data}", f"--artifact=onnx-fp32={damaged}")
    ran = suite(*named, *chosen, store=folder / "store")
    assert ran.returncode == 1, ran.stdout
    assert re.search(r"fail: onnx-fp32 on mine in layer '\w+': output_error_pooled", ran.stdout)
    assert "the first layer at fault is" in ran.stdout


def test_pytest_refuses_a_file_that_does_not_fit_as_a_usage_error(model, data, workspaces, folder):
    other = workspaces("embedded").artifact("torch-fp32").path
    named = (f"--model={model}", f"--data={data}", f"--artifact=torch-fp32={other}")
    ran = suite(*named, store=folder / "store")
    assert ran.returncode == 4, ran.stdout
    assert "ERROR: Expected" in ran.stderr


def test_the_direct_route_needs_no_tensorflow(folder, model):
    program = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "import importlib.util; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, *a: None if n == 'tensorflow' else found(n, *a)\n"
        "import conversion; from conversion.core.artifact import Store; from pathlib import Path\n"
        "store = Store(Path(sys.argv[2]))\n"
        "made = conversion.convert(sys.argv[1], backends=['torch-fp32'], store=store)\n"
        "print(made['torch-fp32'].path.stat().st_size > 1000)\n"
        "try: conversion.convert(sys.argv[1], backends=['onnx-fp32'], store=store)\n"
        "except conversion.UserError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(model), str(folder / "bare")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.stdout.splitlines()[0] == "True", ran.stderr
    assert "'tensorflow': pip install 'keras-conversion-suite[keras]'" in ran.stdout


@pytest.mark.slow
def test_converters_warnings_reach_the_log_and_the_report(folder, model, monkeypatch):
    from conversion.reference import KerasModel

    plain = KerasModel.to_onnx
    said = "UserWarning: something about the graph"
    monkeypatch.setattr(KerasModel, "to_onnx", lambda self, opset: (plain(self, opset)[0], [said]))
    out = folder / "warned"
    store = Store(folder / "another")
    found = conversion.verify(
        model, backends=["onnx-fp32"], topics=["structure"], report=out, store=store
    )
    assert said in found.document["warnings"]
    assert said in (out / "conversion.log").read_text()


def test_what_went_wrong_is_in_the_log_with_its_traceback(folder, model, monkeypatch, one_process):
    from conversion.reference import KerasModel

    def broken(self, opset):
        raise RuntimeError("the converter broke")

    monkeypatch.setattr(KerasModel, "to_onnx", broken)
    out, store = folder / "broken", Store(folder / "third")
    with pytest.raises(UserError, match=r"building onnx-fp32 stops with .*the converter broke"):
        conversion.convert(model, backends=["onnx-fp32"], out=out, store=store)
    log = (out / "conversion.log").read_text()
    assert "Traceback" in log
    assert "the converter broke" in log
    assert not list(out.glob("*.onnx"))
    shutil.rmtree(out)
