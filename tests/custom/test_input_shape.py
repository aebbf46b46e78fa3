"""A file that leaves the size of its input open, or has none, is read with that of the user."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from keras_notation import entry, functional, sequential
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.custom import load
from conversion.proof.checks.case import Case
from conversion.proof.checks.other_size import other_size
from conversion.readers import read_spec
from conversion.readers.input_shape import of_shape
from conversion.reading import read_guarded
from conversion.session import judge
from conversion.subjects import Subject, find
from conversion.subjects.dataset import Dataset
from conversion.subjects.open_sizes import filled
from conversion.workspace import Workspace

LAYERS = [
    ("InputLayer", {"batch_shape": [None, None, None, 3], "dtype": "float32", "name": "image"}),
    ("Rescaling", {"name": "scale", "scale": 1 / 255, "offset": 0.0}),
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
    with pytest.raises(UserError, match=r"pass --data.*or say the shape with --input-shape H,W,C"):
        read(files["none.h5"], None)


@pytest.mark.parametrize("reads", [read_spec, read_guarded], ids=["here", "in-a-child"])
def test_a_model_without_a_shape_takes_that_of_the_data(files, reads):
    images = np.random.RandomState(0).randint(0, 256, (9, *SHAPE)).astype(np.uint8)
    subject = find(str(files["none.h5"]), {"x": images}, read=reads)
    assert subject.spec.layer("conv").shape == (7, 5, 4)
    with pytest.raises(UserError, match="conv/kernel"):
        find(str(files["none.h5"]), {"x": images[..., :2]}, read=reads)


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


ROUTES = ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32", "litert-fp32")


@pytest.fixture(scope="module")
def left_open(files, reference, tmp_path_factory):
    """The model with an open size, and no data."""
    subject = Subject("open", files["open.keras"], read(files["open.keras"], None))
    return Workspace(subject, reference, Store(tmp_path_factory.mktemp("left")), threads=1)


@pytest.mark.parametrize("artifact", ROUTES)
def test_a_size_that_stays_open_is_judged_at_two(left_open, artifact):
    found = judge(Case(left_open, artifact), ("structure", "parity"), {})
    assert {m.verdict for m in found} <= {Verdict.PASS, Verdict.SKIPPED}, found
    assert left_open.parity_inputs["image"].shape[1:] == (32, 48, 3)
    (other,) = (m for m in found if m.name == "other_size")
    assert (other.verdict, other.reason) == (Verdict.PASS, "at 48 x 80 x 3")


def test_every_output_of_open_size_is_judged_at_two(reference, tmp_path):
    made = [
        entry("InputLayer", "image", batch_shape=[None, None, None, 3], dtype="float32"),
        entry("Conv2D", "first", "image", filters=4, kernel_size=3),
        entry("Conv2D", "last", "first", filters=2, kernel_size=1),
    ]
    path = tmp_path / "two.keras"
    save_model(reference, path, functional("two", made, ["last", "first"]), seed=7)
    subject = Subject("two", path, read(path, None))
    workspace = Workspace(subject, reference, Store(tmp_path / "store"), threads=1)
    found = other_size(Case(workspace, "onnx-fp32"))
    assert {m.layer: m.verdict for m in found} == {"last": Verdict.PASS, "first": Verdict.PASS}


def test_a_size_that_stays_open_is_that_of_the_data(left_open):
    images = np.random.RandomState(0).randint(0, 256, (40, 20, 30, 3)).astype(np.uint8)
    workspace = left_open.of(replace(left_open.subject, test=Dataset(images, None, "here")))
    assert workspace.parity_inputs["image"].shape[1:] == (20, 30, 3)
    found = judge(Case(workspace, "onnx-fp32"), ("parity",), {})
    assert {m.verdict for m in found} <= {Verdict.PASS, Verdict.SKIPPED}, found
    assert [m.reason for m in found if m.name == "other_size"] == ["at 48 x 80 x 3"]


class OfOneSize:
    """A file that takes a window of the first size out of whatever it is given."""

    def __init__(self, runner):
        self.runner = runner

    def run(self, inputs):
        return self.runner.run({name: array[:, :32, :48] for name, array in inputs.items()})


def test_a_file_that_is_right_at_one_size_alone_fails(left_open, tmp_path):
    given = OfOneSize(left_open.runner("onnx-fp32"))
    workspace = left_open.injected(Store(tmp_path), runners={"onnx-fp32": lambda threads: given})
    found = judge(Case(workspace, "onnx-fp32"), ("parity",), {})
    failed = {m.name for m in found if m.verdict is Verdict.FAIL}
    assert failed == {"other_size"}


def test_sizes_are_doubled_until_every_window_fits(reference, tmp_path):
    wide = [*LAYERS[:2], ("AveragePooling2D", {"name": "wide", "pool_size": 30}), *LAYERS[2:]]
    spec = read(save_model(reference, tmp_path / "wide.h5", sequential("wide", wide)), None)
    assert filled(spec) == {"image": (128, 192, 3)}


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
