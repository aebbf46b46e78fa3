"""Files of Keras 1 are the same networks in other words."""

import json

import h5py
import legacy_files as files
import numpy as np
import pytest
from legacy_files import conv, dense, image, norm, numbers, plain
from refused_files import refusal

from conversion.readers import read_spec

TRAINED = {"init": "uniform", "W_regularizer": None, "b_constraint": None, "trainable": True}
TF = {"dim_ordering": "tf"}
ROLES = {
    "kernel": "W",
    "bias": "b",
    "moving_mean": "running_mean",
    "moving_variance": "running_std",
}


def strided(name, reads, channels):
    kernel = 8 * numbers(3, 2, 2, channels) - 3
    return conv(name, reads, kernel, numbers(channels), strides=[2, 2], padding="valid")


def chain():
    """A network in words of today."""
    return [
        image(shape=(9, 8, 2)),
        strided("conv", "image", 4),
        norm("norm", "conv", 4),
        plain("Activation", "gate", "norm", activation="hard_sigmoid"),
        plain("MaxPooling2D", "pool", "gate", pool_size=[2, 2], strides=[1, 1], padding="same"),
        plain("ZeroPadding2D", "pad", "pool", padding=[1, 0], data_format="channels_last"),
        plain("Dropout", "drop", "pad", rate=0.5),
        plain("Flatten", "flat", "drop"),
        dense("head", "flat", numbers(96, 3) / 8 - 1, activation="softmax"),
    ]


def branches():
    return [
        image(shape=(9, 8, 2)),
        strided("left", "image", 4),
        strided("right", "image", 4),
        plain("Add", "sum", "left", "right"),
        plain("Concatenate", "both", "sum", "left", axis=-1),
    ]


WORDS = {
    "conv": ("Convolution2D", {"nb_filter": 4, "nb_row": 3, "nb_col": 2, "bias": True}),
    "norm": ("BatchNormalization", {"epsilon": 1e-3, "mode": 0, "axis": -1, "momentum": 0.99}),
    "gate": ("Activation", {"activation": "hard_sigmoid"}),
    "pool": ("MaxPooling2D", {"pool_size": [2, 2], "strides": [1, 1], "border_mode": "same"} | TF),
    "pad": ("ZeroPadding2D", {"padding": [1, 0]} | TF),
    "drop": ("Dropout", {"p": 0.5}),
    "flat": ("Flatten", {}),
    "head": ("Dense", {"output_dim": 3, "activation": "softmax", "bias": False, "input_dim": 96}),
    "sum": ("Merge", {"mode": "sum", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1}),
    "both": ("Merge", {"mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1}),
}
"""The same in the words of Keras 1."""
STRIDED = {"border_mode": "valid", "subsample": [2, 2], "activation": "linear"} | TF
WORDS["conv"][1].update(STRIDED)
WORDS["left"] = WORDS["right"] = WORDS["conv"]


def entry(layer):
    kind, settings = WORDS[layer.name]
    return {"class_name": kind, "config": {"name": layer.name, **TRAINED, **settings}}


def sequential(layers):
    entries = [entry(layer) for layer in layers[1:]]
    entries[0]["config"]["batch_input_shape"] = [None, *layers[0].settings["shape"]]
    return {"class_name": "Sequential", "config": entries}


def functional(layers):
    shape = [None, *layers[0].settings["shape"]]
    first = {"batch_input_shape": shape, "input_dtype": "float32", "sparse": False, "name": "image"}
    entries = [{"class_name": "InputLayer", "config": first, "name": "image", "inbound_nodes": []}]
    for layer in layers[1:]:
        nodes = [[[name, 0, 0] for name in layer.reads]]
        entries.append(entry(layer) | {"name": layer.name, "inbound_nodes": nodes})
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [[layers[-1].name, 0, 0]]}
    return {"class_name": "Model", "config": {"name": "by_hand", "layers": entries, **ends}}


def of_keras_1(path, layers, config):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = b"1.2.2"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            stored = group.create_group(layer.name)
            names = [f"{layer.name}_{ROLES.get(role, role)}" for role in layer.weights]
            stored.attrs["weight_names"] = np.array([name.encode() for name in names], "S40")
            for name, array in zip(names, layer.weights.values(), strict=True):
                stored[name] = array
    return path


NETWORKS = {"chain": (chain, sequential), "branches": (branches, functional)}
networks = pytest.mark.parametrize(("layers", "described"), NETWORKS.values(), ids=list(NETWORKS))


@networks
def test_its_spec_is_that_of_the_file_in_todays_words(tmp_path, layers, described):
    old = read_spec(of_keras_1(tmp_path / "old.h5", layers(), described(layers())))
    new = read_spec(files.write(tmp_path / "new.h5", layers(), notation="keras2"))
    assert old.keras_version == "1.2.2"
    for ours, theirs in zip(old.layers[1:], new.layers[1:], strict=True):
        assert (ours.name, ours.kind, ours.shape) == (theirs.name, theirs.kind, theirs.shape)
        assert list(ours.weights) == list(theirs.weights)
        for role, array in ours.weights.items():
            np.testing.assert_array_equal(array, theirs.weights[role])


@networks
def test_keras_computes_what_the_file_in_todays_words_does(tmp_path, reference, layers, described):
    old = of_keras_1(tmp_path / "old.h5", layers(), described(layers()))
    new = files.write(tmp_path / "new.h5", layers(), notation="keras2")
    pixels = np.random.default_rng(3).normal(size=(5, 9, 8, 2)).astype(np.float32)
    found = []
    for path in (old, new):
        spec = read_spec(path)
        (output,) = reference.model(path, spec).outputs({spec.inputs[0]: pixels}).values()
        found.append(output)
    assert np.ptp(found[0], axis=0).max() > 1e-3
    np.testing.assert_array_equal(*found)


REFUSED = {
    "theano": ("conv", "Convolution2D", {"dim_ordering": "th"}, "keras==2.2.4"),
    "per-sample": ("norm", "BatchNormalization", {"mode": 1}, "normalizes each sample"),
    "one-dimension": ("conv", "Convolution1D", {}, "Keras 1 stored otherwise"),
    "recurrent": ("head", "LSTM", {}, "keras==2.2.4"),
    "merge-with-code": ("flat", "Merge", {"mode_type": "lambda"}, "code in it"),
    "merge-of-models": ("flat", "Merge", {"mode": "sum", "layers": [{}]}, "holds models"),
}


@pytest.mark.parametrize(("name", "kind", "settings", "says"), REFUSED.values(), ids=list(REFUSED))
def test_what_keras_2_read_otherwise_is_refused_with_the_way_on(
    tmp_path, name, kind, settings, says
):
    config = sequential(chain())
    (layer,) = (each for each in config["config"] if each["config"]["name"] == name)
    layer["class_name"] = kind
    layer["config"] |= settings
    assert says in refusal(of_keras_1(tmp_path / "old.h5", chain(), config))
