"""A small model with images of its own, and a stand-in for Keras's objects without Keras."""

import json
import tempfile
import zipfile

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.readers import read_spec

LAYERS = [
    ("InputLayer", {"batch_shape": [None, 12, 12, 3], "dtype": "float32", "name": "image"}),
    ("Conv2D", {"filters": 6, "kernel_size": [3, 3], "strides": [2, 2], "name": "conv"}),
    ("ReLU", {"name": "relu"}),
    ("Flatten", {"name": "flat"}),
    ("Dense", {"units": 4, "activation": "softmax", "name": "scores"}),
]


@pytest.fixture(scope="session")
def keras_file(tmp_path_factory, reference):
    path = tmp_path_factory.mktemp("keras") / "mine.keras"
    config = sequential("mine", LAYERS)
    save_model(reference, path, config, seed=3)
    return path


@pytest.fixture(scope="session")
def images():
    """In 0..3, so that the small network's probabilities are not all 0 or 1."""
    return np.random.RandomState(1).randint(0, 4, (300, 12, 12, 3)).astype(np.uint8)


@pytest.fixture(scope="session")
def labels(keras_file, images, reference):
    inputs = {"image": images.astype(np.float32)}
    scores = reference.model(keras_file, read_spec(keras_file)).outputs(inputs)["scores"]
    return scores.argmax(axis=1)


@pytest.fixture
def own_store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder that temporary folders are made in."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class Model:
    """What every model of Keras is an instance of, by the names of class and module."""

    __module__ = "keras.src.models.model"


class Sequential(Model):
    """Saves what was built before, with another time of saving each time, as Keras does."""

    def __init__(self, source, name="mine", before=lambda: None):
        self.source, self.name, self.before = source, name, before
        self.saved = []

    def save(self, path):
        self.before()
        self.saved.append(path)
        with zipfile.ZipFile(self.source) as built, zipfile.ZipFile(path, "w") as archive:
            for member in built.namelist():
                content = built.read(member)
                if member == "metadata.json":
                    said = {**json.loads(content), "date_saved": f"at the {len(self.saved)}."}
                    content = json.dumps(said)
                archive.writestr(member, content)


@pytest.fixture
def keras_model(keras_file, temporary):
    return lambda **told: Sequential(keras_file, **told)
