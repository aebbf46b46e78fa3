"""Writes legacy `.h5` files by hand, in the notation of Keras 2 or of Keras 3."""

import copy
import json
from dataclasses import dataclass, field

import h5py
import numpy as np

NOTATIONS = ("keras2", "keras3")


@dataclass
class Stored:
    """One layer as the test states it."""

    kind: str
    name: str
    reads: tuple = ()
    settings: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)


def numbers(*shape, start=0):
    """Different float32 values, all exact."""
    return (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + start) / 64


def image(name="image", shape=(4, 4, 2)):
    return Stored("InputLayer", name, (), {"shape": shape})


def conv(name, reads, kernel, bias=None, **settings):
    weights = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
    known = {
        "filters": kernel.shape[3],
        "kernel_size": list(kernel.shape[:2]),
        "strides": [1, 1],
        "padding": "same",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "groups": 1,
        "activation": "linear",
        "use_bias": bias is not None,
    }
    return Stored("Conv2D", name, (reads,), known | settings, weights)


def dense(name, reads, kernel, bias=None, **settings):
    weights = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
    known = {"units": kernel.shape[1], "activation": "linear", "use_bias": bias is not None}
    return Stored("Dense", name, (reads,), known | settings, weights)


def norm(name, reads, channels, **settings):
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {role: numbers(channels, start=1 + 8 * i) for i, role in enumerate(roles)}
    known = {"axis": -1, "epsilon": 0.001, "momentum": 0.99, "center": True, "scale": True}
    return Stored("BatchNormalization", name, (reads,), known | settings, weights)


def plain(kind, name, *reads, **settings):
    return Stored(kind, name, reads, settings)


def small():
    """Ten kinds of trouble fit into five layers."""
    return [
        image(),
        conv("conv", "image", numbers(3, 3, 2, 3), numbers(3), activation="relu"),
        norm("norm", "conv", 3),
        plain("Flatten", "flatten", "norm", data_format="channels_last"),
        dense("dense", "flatten", numbers(48, 5), numbers(5), activation="softmax"),
    ]


def functional(layers, notation="keras3", outputs=None):
    """The model configuration of a functional model; its last layer is the output."""
    inputs = [layer.name for layer in layers if layer.kind == "InputLayer"]
    return {
        "class_name": "Functional",
        "config": {
            "name": "by_hand",
            "layers": [_functional_entry(layer, notation) for layer in layers],
            "input_layers": _ends(inputs, notation),
            "output_layers": _ends(outputs or [layers[-1].name], notation),
        },
    }


def sequential(layers, notation="keras3", with_input=True):
    """The model configuration of a Sequential model, with or without an InputLayer of its own."""
    entries = [_entry(layer, notation) for layer in layers]
    if not with_input:
        entries = entries[1:]
        entries[0]["config"]["batch_input_shape"] = [None, *layers[0].settings["shape"]]
    return {"class_name": "Sequential", "config": {"name": "by_hand", "layers": entries}}


def _entry(layer, notation):
    dtype = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}
    config = {"name": layer.name, "dtype": dtype if notation == "keras3" else "float32"}
    settings = copy.deepcopy(layer.settings)
    if layer.kind == "InputLayer":
        shape = [None, *settings.pop("shape")]
        config["batch_input_shape" if notation == "keras2" else "batch_shape"] = shape
    if layer.kind == "BatchNormalization" and notation == "keras2" and settings["axis"] == -1:
        settings["axis"] = [3]
    return {"class_name": layer.kind, "config": config | settings}


def _functional_entry(layer, notation):
    nodes = []
    if layer.reads and notation == "keras2":
        nodes = [[[name, 0, 0, {}] for name in layer.reads]]
    elif layer.reads:
        tensors = [tensor(name) for name in layer.reads]
        nodes = [{"args": tensors if len(tensors) == 1 else [tensors], "kwargs": {}}]
    return _entry(layer, notation) | {"name": layer.name, "inbound_nodes": nodes}


def tensor(name):
    """A reference to a layer's output, as Keras 3 writes it."""
    history = {"shape": [None], "dtype": "float32", "keras_history": [name, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": history}


def _ends(names, notation):
    ends = [[name, 0, 0] for name in names]
    return ends[0] if notation == "keras3" and len(ends) == 1 else ends


def write(path, layers, config=None, notation="keras3"):
    """Write the file: configuration, names and arrays, as that version of Keras lays them out."""
    config = functional(layers, notation) if config is None else config
    old = notation == "keras2"
    with h5py.File(path, "w") as file:
        text = config if isinstance(config, str) else json.dumps(config)
        file.attrs["model_config"] = text.encode() if old else text
        file.attrs["keras_version"] = "2.4.0" if old else "3.15.1"
        file.attrs["backend"] = "tensorflow"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = _names([layer.name for layer in layers], old)
        for layer in layers:
            stored = group.create_group(layer.name)
            ending = ":0" if old else ""
            names = [f"{layer.name}/{role}{ending}" for role in layer.weights]
            stored.attrs["weight_names"] = _names(names, old)
            for name, array in zip(names, layer.weights.values(), strict=True):
                stored.create_dataset(name, data=array)
    return path


def _names(names, old):
    if not names:
        return np.array([])
    return np.array([n.encode() for n in names]) if old else np.array(names, dtype=object)
