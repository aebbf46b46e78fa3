"""A model file that cannot be used gives exit code 2 and one line, before Keras is started."""

import json
import shutil

import h5py
import numpy as np
import pytest

LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=\n"}}


def edited(change):
    """Edits the configuration of the model file."""

    def spoil(path):
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            change({each["config"]["name"]: each for each in config["config"]["layers"]})
            file.attrs["model_config"] = json.dumps(config)

    return spoil


def weight(change):
    def spoil(path):
        with h5py.File(path, "a") as file:
            change(file["model_weights/dense/dense"])

    return spoil


def as_directory(path):
    path.unlink()
    path.mkdir()


def first_bytes(share):
    def spoil(path):
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return spoil


def zeroed_tail(path):
    content = path.read_bytes()
    kept = content.index(b"GCOL") + 400
    path.write_bytes(content[:kept] + bytes(len(content) - kept))


def set_nan(group):
    group["bias"][3] = np.nan


def transpose(group):
    array = group["kernel"][()].T
    del group["kernel"]
    group["kernel"] = array


def without_model(path):
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(3)


BAD = {
    "missing": (lambda path: path.unlink(), "there is none"),
    "directory": (as_directory, "is not a file"),
    "empty": (first_bytes(0), "empty"),
    "truncated": (first_bytes(0.5), "truncated"),
    "zeroed-tail": (zeroed_tail, "cannot be read"),
    "not-hdf5": (lambda path: path.write_text("hello"), "not HDF5"),
    "zip": (lambda path: path.write_bytes(b"PK\3\4"), "Keras archive"),
    "without-model": (without_model, "model_config"),
    "weight-missing": (weight(lambda group: group.pop("bias")), "'dense/bias' is missing"),
    "weight-transposed": (weight(transpose), "(64, 10)"),
    "weight-nan": (weight(set_nan), "1 of 10 are NaN"),
    "unsupported-layer": (
        edited(lambda layers: layers["flatten"].update(class_name="Masking")),
        "docs/supported.md has those that are",
    ),
    "unsupported-setting": (
        edited(lambda layers: layers["conv2d"]["config"].update(data_format="sideways")),
        "sideways",
    ),
}
CODE = {
    "lambda-layer": (
        edited(lambda layers: layers["flatten"].update(class_name="Lambda")),
        "'Lambda', which can carry code",
    ),
    "lambda-activation": (
        edited(lambda layers: layers["dense"]["config"].update(activation=LAMBDA)),
        "'__lambda__', which can carry code",
    ),
    "custom-class": (
        edited(lambda layers: layers["flatten"].update(class_name="pack>Mine")),
        "custom class 'pack>Mine'",
    ),
    "foreign-module": (
        edited(lambda layers: layers["flatten"].update(module="mine.layers")),
        "'mine.layers'",
    ),
}
VERBS = {
    "convert": ("convert", "mine.h5", "--out", "out"),
    "quantize": ("quantize", "mine.h5", "--out", "out"),
    "evaluate": ("evaluate", "mine.h5"),
    "verify": ("verify", "mine.h5", "--report", "out"),
    "inspect": ("inspect", "mine.h5"),
}

verbs = pytest.mark.parametrize("arguments", VERBS.values(), ids=list(VERBS))


@pytest.mark.parametrize(("spoil", "words"), (BAD | CODE).values(), ids=list(BAD | CODE))
def test_bad_model_is_refused_in_one_line(refused, mine, spoil, words):
    spoil(mine)
    said = refused(*VERBS["convert"])
    assert words in said
    assert "mine.h5" in said


@pytest.mark.one_in(4)
@verbs
@pytest.mark.parametrize(("spoil", "words"), CODE.values(), ids=list(CODE))
def test_code_reaches_keras_through_no_verb(refused, mine, arguments, spoil, words):
    spoil(mine)
    assert words in refused(*arguments)


@verbs
@pytest.mark.parametrize("name", ["missing", "truncated", "weight-nan"])
def test_every_verb_refuses_a_bad_model(refused, mine, arguments, name):
    spoil, words = BAD[name]
    spoil(mine)
    assert words in refused(*arguments)


@pytest.mark.parametrize("name", ["truncated", "weight-nan", "unsupported-layer"])
def test_only_the_log_is_left_behind_and_it_has_the_traceback(refused, mine, name):
    BAD[name][0](mine)
    refused(*VERBS["convert"])
    out = mine.parent / "out"
    assert [path.name for path in out.iterdir()] == ["conversion.log"]
    assert "Traceback" in (out / "conversion.log").read_text()
    assert not (mine.parent / "store").exists()


def test_earlier_files_in_the_folder_stay_as_they_were(refused, mine):
    kept = mine.parent / "out" / "onnx-fp32.onnx"
    kept.parent.mkdir()
    kept.write_text("kept")
    shutil.copyfile(mine, mine.with_name("other.h5"))
    BAD["weight-nan"][0](mine)
    refused(*VERBS["convert"])
    assert kept.read_text() == "kept"
