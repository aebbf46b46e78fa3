"""A model file is read once, whichever way in: its spec travels with the subject."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion import readers
from conversion.api import verify
from conversion.core.artifact import Store
from conversion.core.guarded import Guarded

IMAGES = 200
LAYERS = [
    ("InputLayer", {"batch_shape": [None, 9, 9, 3], "dtype": "float32", "name": "image"}),
    ("Conv2D", {"filters": 6, "kernel_size": [3, 3], "name": "conv"}),
    ("ReLU", {"name": "relu"}),
    ("Flatten", {"name": "flat"}),
    ("Dense", {"units": 4, "activation": "softmax", "name": "scores"}),
]
HDF5 = b"\x89HDF\r\n\x1a\n"

IN_PYTEST = """
import json, sys
import pytest
from conversion import readers
from conversion.core.guarded import Guarded

HDF5 = b"\\x89HDF\\r\\n\\x1a\\n"
read, reader, call = [], readers.FIRST_BYTES[HDF5], Guarded.call

def counted(path, content, custom):
    read.append(path.name)
    return reader(path, content, custom)

def asked(self, job, values, *others, **named):
    if job == "conversion.reading:read":
        read.append(values["path"].rpartition("/")[2])
    return call(self, job, values, *others, **named)

readers.FIRST_BYTES[HDF5] = counted
Guarded.call = asked
code = pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", *sys.argv[1:]])
print(json.dumps([int(code), read]))
"""


@pytest.fixture
def model(tmp_path, reference):
    return save_model(reference, tmp_path / "mine.h5", sequential("mine", LAYERS), seed=3)


@pytest.fixture
def data(tmp_path):
    random = np.random.RandomState(0)
    path = tmp_path / "mine.npz"
    images = random.randint(0, 4, (IMAGES, 9, 9, 3)).astype(np.uint8)
    np.savez(path, x=images, y=random.randint(0, 4, IMAGES))
    return path


def test_verify_reads_it_once(model, data, tmp_path, monkeypatch, one_process):
    read, reader, call = [], readers.FIRST_BYTES[HDF5], Guarded.call

    def counted(path, content, custom):
        read.append(path.name)
        return reader(path, content, custom)

    def asked(self, job, values, *others, **named):
        if job == "conversion.reading:read":
            read.append(Path(values["path"]).name)
        return call(self, job, values, *others, **named)

    monkeypatch.setitem(readers.FIRST_BYTES, HDF5, counted)
    monkeypatch.setattr(Guarded, "call", asked)
    found = verify(
        model,
        data=data,
        backends=["keras-fp32", "torch-fp32"],
        topics=["structure", "parity", "accuracy"],
        store=Store(tmp_path / "store"),
    )
    assert found.measurements
    assert read == ["mine.h5"]


def runs_of_pytest(folder, *arguments):
    """Exit code of a run of the suite in a process of its own, and the files that were read."""
    known = {**os.environ, "CONVERSION_CACHE_DIR": str(folder / "store"), "PYTEST_ADDOPTS": ""}
    known.pop("CONVERSION_DATA_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", IN_PYTEST, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env=known,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return json.loads(done.stdout.splitlines()[-1])


WAYS = {
    "a model": (),
    "a model and an artifact by name": ("--backends", "torch-fp32"),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("named", WAYS.values(), ids=list(WAYS))
def test_pytest_reads_it_once(model, data, tmp_path, named):
    options = (f"--model={model}", f"--data={data}", "-m", "structure", "-k", "torch-fp32-weights")
    assert runs_of_pytest(tmp_path, *options, *named) == [0, ["mine.h5"]]


@pytest.mark.slow
def test_pytest_reads_a_subject_once(tmp_path):
    options = ("--subject=embedded", "--backends=torch-fp32", "-m", "structure")
    chosen = ("tests/suite", "-k", "torch-fp32-weights")
    assert runs_of_pytest(tmp_path, *options, *chosen) == [0, ["embedded.h5"]]
