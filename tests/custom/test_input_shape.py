"""A file that leaves the size of its input open, or has none, is read with that of the user."""

import json

import h5py
import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.custom import load
from conversion.proof.checks.case import Case
from conversion.readers import read_spec
from conversion.readers.input_shape import of_shape
from conversion.session import judge
from conversion.subjects import Subject
from conversion.workspace import Workspace

LAYERS = [
    ("InputLayer", {"batch_shape": [None, None, None, 3], "dtype": "float32", "name": "image"}),
    ("Conv2D", {"name": "conv", "filters": 4, "kernel_size": 3, "padding": "valid"}),
    ("GlobalAveragePooling2D", {"name": "pool"}),
    ("Dense", {"name": "scores", "units": 3, "activation": "softmax"}),
]
SHAPE = (9, 7, 3)


def described(path, change):
    """The file with another description."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
    return path


def without_input(config):
    del config["config"]["layers"][0]
    config["config"].pop("build_input_shape", None)
    for layer in config["config"]["layers"]:
        layer.pop("build_config", None)


@pytest.fixture(scope="module")
def files(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    model = sequential("open", LAYERS)
    found = {
        name: save_model(reference, folder / name, model, seed=2)
        for name in ("open.h5", "open.keras", "none.h5")
    }
    described(found["none.h5"], without_input)
    return found


def read(path, shape=SHAPE):
    return read_spec(path, load((), [] if shape is None else [of_shape(shape)]))


@pytest.mark.parametrize("name", ["open.h5", "open.keras", "none.h5"])
def test_the_shape_is_that_of_the_input_and_of_what_follows(files, name):
    spec = read(files[name])
    assert spec.layer(spec.inputs[0]).shape == SHAPE
    assert spec.layer("conv").shape == (7, 5, 4)
    assert spec.custom.provenance == {
        "in place of the input": "InputLayer(batch_shape=[None, 9, 7, 3])"
    }


def test_without_it_the_size_stays_open_and_a_model_without_one_is_refused(files):
    assert read(files["open.h5"], None).layer("image").shape == (None, None, 3)
    with pytest.raises(UserError, match="say that of the data with --input-shape H,W,C"):
        read(files["none.h5"], None)


@pytest.mark.parametrize("name", ["open.keras", "none.h5"])
def test_every_float_artifact_of_it_is_judged(files, name, reference, tmp_path):
    spec = read(files[name])
    workspace = Workspace(Subject("open", files[name], spec), reference, Store(tmp_path), threads=1)
    for artifact in ("onnx-fp32", "torch-fp32"):
        found = judge(Case(workspace, artifact), ("structure", "parity"), {})
        assert {m.verdict for m in found} <= {Verdict.PASS, Verdict.SKIPPED}, found
    runner = workspace.runner("onnx-fp32")
    (out,) = runner.run({spec.inputs[0]: np.zeros((2, *SHAPE), np.float32)}).values()
    assert out.shape == (2, 3)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((9, 7, 4), "fits the model's own (any,any,3); got 9,7,4"),
        ((9, 7), "fits the model's own (any,any,3); got 9,7"),
    ],
    ids=["channels", "rank"],
)
def test_a_shape_that_does_not_fit_is_one_sentence(files, shape, says):
    with pytest.raises(UserError) as raised:
        read(files["open.h5"], shape)
    assert says in str(raised.value)


def test_a_model_without_a_shape_takes_only_one_that_its_weights_fit(files):
    with pytest.raises(UserError, match="conv/kernel"):
        read(files["none.h5"], (9, 7, 4))


def test_several_inputs_are_not_told_apart(files, tmp_path):
    def doubled(config):
        first = json.loads(json.dumps(config["config"]["layers"][0]))
        config["class_name"] = "Functional"
        first["config"]["name"] = "other"
        config["config"]["layers"].insert(0, first)

    path = tmp_path / "two.h5"
    path.write_bytes(files["open.h5"].read_bytes())
    with pytest.raises(UserError, match="Expected one input that a shape is said of"):
        read(described(path, doubled))
