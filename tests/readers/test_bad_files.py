"""What is no whole `.h5` file with a model gives one sentence that says so."""

import os
import zipfile

import h5py
import legacy_files as files
import numpy as np
import pytest
from refused_files import case, refusal

from conversion.core.errors import UserError
from conversion.readers import read_spec


def a_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


def hdf5_of_something_else(path):
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(3)


def weights_alone(path):
    files.write(path, files.small())
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        case(lambda path: None, "there is none", id="missing"),
        case(lambda path: path.mkdir(), "is not a file", id="directory"),
        case(lambda path: os.mkfifo(path), "is not a file", id="fifo"),
        case(lambda path: path.touch(), "is empty", id="empty"),
        case(lambda path: path.write_text("hello"), "not HDF5", id="text"),
        case(lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "Expected", id="signature-only"),
        case(a_zip, "model.weights.h5' is missing", ".keras", id="a-zip"),
        case(hdf5_of_something_else, "no 'model_config'", id="hdf5-without-model"),
        case(weights_alone, "no 'model_config'", "weights alone", id="weights-only"),
    ],
)
def test_what_is_no_model_file_is_refused(path, make, words):
    make(path)
    sentence = refusal(path)
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize("name", ["mine.tflite", "mine.txt", "mine"])
def test_another_ending_is_refused_with_the_known_ones(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    assert ".h5, .hdf5, .keras, .json" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["mine.hdf5", "MINE.H5"])
def test_other_spellings_of_the_ending_are_read(tmp_path, name):
    assert len(read_spec(files.write(tmp_path / name, files.small())).layers) == 5


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.9999])
def test_truncated_file_is_called_truncated(path, share):
    content = files.write(path, files.small()).read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    # below the eight bytes of the signature there is nothing to tell it from
    assert ("truncated" if share * len(content) > 96 else "Expected") in refusal(path)


@pytest.mark.parametrize("topology", ["null", '{"model_config": {}}'])
def test_a_description_of_tensorflow_js_is_named_as_that(tmp_path, topology):
    path = tmp_path / "model.json"
    path.write_text(f'{{"format": "layers-model", "modelTopology": {topology}}}')
    with pytest.raises(UserError, match=r"model\.json is of TensorFlow\.js: pass the Keras file"):
        read_spec(path)
