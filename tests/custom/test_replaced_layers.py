"""A Lambda of a file, by the user's word another layer: no code of the file is run."""

import base64
import json
import marshal
import zipfile

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
from conversion.session import judge
from conversion.subjects import Subject
from conversion.workspace import Workspace

LAYERS = [
    ("InputLayer", {"batch_shape": [None, 6, 5, 3], "dtype": "float32", "name": "image"}),
    ("Rescaling", {"name": "normal", "scale": 1.0, "offset": 0.0}),
    ("Conv2D", {"name": "conv", "filters": 4, "kernel_size": 3, "padding": "valid"}),
    ("Flatten", {"name": "flat"}),
    ("Dense", {"name": "scores", "units": 3, "activation": "softmax"}),
]

FUNCTIONS = {
    "centred": (lambda x: x / 127.5 - 1, "Rescaling(scale=1/127.5,offset=-1)"),
    "scaled": (lambda x: x * (1.0 / 255.0), "Rescaling(scale=1/255)"),
}


def with_lambda(path, function):
    """The file with a Lambda where its Rescaling is."""
    code = base64.b64encode(marshal.dumps(function.__code__)).decode()

    def changed(text):
        config = json.loads(text)
        (layer,) = (e for e in config["config"]["layers"] if e["config"].get("name") == "normal")
        layer["class_name"] = "Lambda"
        layer["config"] = {"name": "normal", "function": [code, None, None]}
        return json.dumps(config)

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = changed(file.attrs["model_config"])
        return
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["config.json"] = changed(content["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, each in content.items():
            archive.writestr(name, each)


@pytest.fixture(scope="module", params=[".h5", ".keras"])
def path(request, tmp_path_factory, reference):
    path = tmp_path_factory.mktemp("replaced") / f"mine{request.param}"
    save_model(reference, path, sequential("mine", LAYERS), seed=4)
    with_lambda(path, FUNCTIONS["centred"][0])
    return path


@pytest.mark.parametrize(("function", "typed"), FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_the_refusal_names_the_option_with_the_constants_of_the_code(path, function, typed):
    with_lambda_of = path.with_name(f"{function.__code__.co_firstlineno}{path.suffix}")
    with_lambda_of.write_bytes(path.read_bytes())
    if function is not FUNCTIONS["centred"][0]:
        with_lambda(with_lambda_of, function)
    with pytest.raises(UserError) as refused:
        read_spec(with_lambda_of)
    assert f"--replace 'normal={typed}'" in str(refused.value)


def test_what_no_standard_layer_does_is_refused_with_the_way_through_a_class(path, tmp_path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    with_lambda(copy, lambda pair: pair[0][:, 1:])
    with pytest.raises(UserError, match=r"no standard layer is known.*--custom FILE\.py"):
        read_spec(copy)


def test_the_other_layer_is_what_keras_computes(path, reference):
    custom = load([], ["normal=Rescaling(scale=1/127.5, offset=-1)"])
    spec = read_spec(path, custom)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 6, 5, 3)).astype(np.float32)
    found = reference.model(path, spec).layer_outputs({spec.inputs[0]: pixels}, ["normal"])
    assert np.abs(found["normal"] - (pixels / 127.5 - 1)).max() < 1e-6
    other = read_spec(path, load([], ["normal=Rescaling(scale=2)"]))
    found = reference.model(path, other).layer_outputs({other.inputs[0]: pixels}, ["normal"])
    assert np.abs(found["normal"] - 2 * pixels).max() == 0


@pytest.mark.parametrize("path", [".keras"], indirect=True)
@pytest.mark.parametrize("name", ["onnx-fp32", "torch-fp32"])
def test_the_model_passes_parity_and_says_what_was_replaced(path, reference, tmp_path, name):
    custom = load([], ["normal=Rescaling(scale=1/127.5, offset=-1)"])
    workspace = Workspace(
        Subject("mine", path, read_spec(path, custom)), reference, Store(tmp_path / "store")
    )
    made = {}
    found = judge(Case(workspace, name), ("parity",), made)
    assert {m.verdict for m in found} <= {Verdict.PASS, Verdict.SKIPPED}
    said = made[name].provenance["custom"]["in place of normal"]
    assert said == "Rescaling(scale=0.00784313725490196, offset=-1)"


BAD = {
    "no-layer": ("normal=Nothing()", "there is no 'Nothing'"),
    "no-setting": ("normal=Rescaling(factor=2)", "it has no 'factor'"),
    "no-brackets": ("normal=Rescaling", "no layer with brackets"),
    "no-name": ("Rescaling(scale=2)", "Expected --replace NAME=LAYER"),
    "code": ("normal=Rescaling(scale=abs(2))", "a value is a number, text or a list"),
    "by-zero": ("normal=Rescaling(scale=1/0)", "division by zero"),
    "by-place": ("normal=Rescaling(2)", "a setting without its name"),
    "unknown-name": ("normall=Rescaling(scale=2)", "0 are named 'normall'"),
    "weights": ("normal=Dense(units=3)", "weights"),
    "does-not-fit": ("normal=Conv2D(filters=3)", "settings that do not fit"),
}


@pytest.mark.parametrize(("typed", "sentence"), BAD.values(), ids=list(BAD))
def test_what_cannot_stand_there_is_refused_in_one_sentence(path, typed, sentence):
    with pytest.raises(UserError, match=sentence) as refused:
        read_spec(path, load([], [typed]))
    assert "\n" not in str(refused.value)
