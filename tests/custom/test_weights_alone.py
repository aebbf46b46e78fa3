"""Weights alone: a function of the user's returns the model that they belong to."""

import zipfile

import h5py
import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion.api import verify
from conversion.core.errors import UserError
from conversion.custom import load
from conversion.readers import read_spec
from conversion.subjects.weights_alone import whole

LAYERS = [
    ("InputLayer", {"batch_shape": [None, 9, 8, 3], "dtype": "float32", "name": "image"}),
    ("Conv2D", {"name": "conv", "filters": 4, "kernel_size": 3}),
    ("BatchNormalization", {"name": "norm"}),
    ("GlobalAveragePooling2D", {"name": "pool"}),
    ("Dense", {"name": "scores", "units": 3, "activation": "softmax"}),
]

BUILDS = """
def model():
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Input((9, 8, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
"""


@pytest.fixture(scope="module", params=[".h5", ".keras"])
def saved(request, tmp_path_factory, reference):
    """A whole model, and a file of its weights."""
    path = tmp_path_factory.mktemp("alone") / f"mine{request.param}"
    save_model(reference, path, sequential("mine", LAYERS), seed=6)
    weights = path.with_name("alone.h5")
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            weights.write_bytes(archive.read("model.weights.h5"))
    else:
        with h5py.File(path) as source, h5py.File(weights, "w") as target:
            for name, each in source["model_weights"].items():
                source.copy(each, target, name)
            target.attrs.update(source["model_weights"].attrs)
    return path, weights


@pytest.fixture
def named(tmp_path):
    def named(text, name="build.py"):
        file = tmp_path / name
        file.write_text(text)
        return file

    return named


def test_the_refusal_names_the_function_and_the_json(saved):
    with pytest.raises(UserError, match=r"function model\(\).*--custom FILE.py"):
        read_spec(saved[1])


def test_the_refusal_names_a_description_that_is_beside(saved, tmp_path):
    copy = tmp_path / "mine.h5"
    copy.write_bytes(saved[1].read_bytes())
    copy.with_suffix(".json").write_text("{}")
    with pytest.raises(UserError, match=r"pass mine\.json, which is beside it"):
        read_spec(copy)


@pytest.mark.parametrize("head", ["", "import keras\n"], ids=["plain", "imports-keras"])
def test_what_is_built_has_the_weights_of_the_file(saved, named, reference, head):
    custom = load([named(head + BUILDS)])
    with whole(str(saved[1]), custom, reference) as file:
        found = read_spec(file, custom)
    wanted = read_spec(saved[0])
    pairs = zip(found.layers, wanted.layers, strict=True)
    for ours, theirs in pairs:
        assert ours.kind == theirs.kind
        for role, array in theirs.weights.items():
            assert np.array_equal(ours.weights[role], array), (theirs.name, role)


def test_two_builds_are_one_model_in_the_store(saved, named, reference):
    custom = load([named(BUILDS)])
    digests = set()
    for _ in range(2):
        with whole(str(saved[1]), custom, reference) as file:
            digests.add(read_spec(file, custom).digest)
    assert len(digests) == 1


@pytest.mark.one_in(2)
def test_it_is_converted_and_judged(saved, named, tmp_path):
    found = verify(
        saved[1],
        backends=["onnx-fp32"],
        topics=["parity"],
        custom=[named(BUILDS)],
        report=tmp_path / "report",
    )
    assert found.exit_code() == 0


@pytest.fixture
def entered(reference):
    def entered(model, *files):
        with whole(str(model), load(files), reference):
            raise AssertionError("it was accepted")

    return entered


BAD = {
    "no-model": ("def model():\n    return 3\n", "to return a keras.Model"),
    "shape": (BUILDS.replace("Conv2D(4", "Conv2D(5"), "[Ss]hape"),
    "layers": (BUILDS.replace("            layers.BatchNormalization(),\n", ""), "saved of"),
    "raises": ("def model():\n    return 1 / 0\n", "ZeroDivisionError"),
}


@pytest.mark.parametrize(("text", "sentence"), BAD.values(), ids=list(BAD))
def test_what_does_not_fit_is_refused_in_one_sentence(saved, named, entered, text, sentence):
    with pytest.raises(UserError, match=sentence) as refused:
        entered(saved[1], named(text))
    assert "\n" not in str(refused.value)


def test_a_file_with_a_model_beside_a_function_that_builds_one_is_refused(saved, named, entered):
    with pytest.raises(UserError, match="holds a model itself"):
        entered(saved[0], named(BUILDS))


def test_two_functions_are_refused(saved, named, entered):
    with pytest.raises(UserError, match=r"build\.py and other\.py have it"):
        entered(saved[1], named(BUILDS), named(BUILDS, "other.py"))
