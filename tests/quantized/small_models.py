"""Small Keras models from a few words, and int8 modules made of them."""

import json

import numpy as np
from tools.keras_models import save_model

from conversion.backends import Ingredients
from conversion.core import digest
from conversion.core.artifact import Artifact
from conversion.core.settings import CalibrationChoice, Settings, TorchScheme
from conversion.quantization import calibration
from conversion.readers import read_spec
from conversion.subjects.data import Dataset


def functional(shape, calls, outputs):
    """`calls` are (kind, name, names that it reads, settings); the input is called x."""
    nodes = [node("InputLayer", "x", [], {"batch_shape": [None, *shape], "dtype": "float32"})]
    nodes += [node(*call) for call in calls]
    config = {
        "name": "small",
        "layers": nodes,
        "input_layers": [["x", 0, 0]],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    return {"module": "keras", "class_name": "Model", "config": config}


def node(kind, name, reads, settings):
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": [source, 0, 0]},
        }
        for source in reads
    ]
    call = {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": {}} if reads else None
    return {
        "module": "keras.layers",
        "class_name": kind,
        "name": name,
        "config": {"name": name, **settings},
        "inbound_nodes": [call] if call else [],
    }


def images(shape, count=64, seed=0):
    """Random values on both sides of 0."""
    random = np.random.RandomState(seed)
    return random.normal(0.5, 1.0, (count, *shape)).astype(np.float32)


def artifact(name, path, **provenance):
    return Artifact(name, path, digest.of_file(path), provenance)


def saved(folder, values):
    """A calibration set of any values as an artifact."""
    notes = calibration.save(Dataset(values, None), folder, CalibrationChoice())
    return artifact("calibration", folder / calibration.FILE, **notes)


class Int8:
    """A Keras model, its float PyTorch file, its ranges and its int8 file."""

    def __init__(self, reference, folder, config, scheme=None, seed=0, shape=(6, 6, 3)):
        from conversion.backends import torch_fp32
        from conversion.quantization import torch_ranges, torch_static

        folder.mkdir(exist_ok=True)
        path = folder / "small.h5"
        save_model(reference, path, config, seed=seed)
        self.images = images(shape)
        settings = Settings(torch=scheme or TorchScheme(method="minmax"))
        spec = read_spec(path)
        self.ingredients = Ingredients(
            spec, reference.model(path, spec), settings, {"calibration": saved(folder, self.images)}
        )
        self.folder = folder
        self.make("torch-fp32", torch_fp32.build, ".pt")
        self.make("torch-ranges", torch_ranges.build, ".json")
        self.make("torch-int8", torch_static.build, ".pt")

    def make(self, name, build, suffix):
        path = self.folder / f"{name}{suffix}"
        notes = build(self.ingredients, path)
        self.ingredients.artifacts[name] = artifact(name, path, **notes)
        return self.ingredients.artifacts[name]

    def ranges(self):
        return json.loads(self.ingredients.artifacts["torch-ranges"].path.read_text())

    def open(self, made=None):
        from conversion.quantization import torch_static

        found = made or self.ingredients.artifacts["torch-int8"]
        return torch_static.open(found, self.ingredients, threads=1)

    def run(self, made=None):
        return self.open(made).run({"x": self.images})

    def keras(self):
        return self.ingredients.keras.outputs({"x": self.images})
