"""Functions of `keras.ops` in a model are read as the layers that compute the same."""

import json
import zipfile

import nested_configs
import pytest
from test_nested_models import ROUNDING, worst
from tools.keras_models import save_model

from conversion.core.errors import UserError
from conversion.readers import read_spec

NUMPY, NN = "keras.src.ops.numpy", "keras.src.ops.nn"

OPERATIONS = {
    "mean": (NUMPY, "Mean", {"axis": [1, 2], "keepdims": True}, "GlobalAveragePooling2D"),
    "max": (NUMPY, "Max", {"axis": [-2, 1], "keepdims": True}, "GlobalMaxPooling2D"),
    "reshape": (NUMPY, "Reshape", {"newshape": [-1, 4, 9, 3]}, "Reshape"),
    "transpose": (NUMPY, "Transpose", {"axes": [0, 2, 1, 3]}, "Permute"),
    "exp": (NUMPY, "Exp", {}, "Activation"),
    "clip": (NUMPY, "Clip", {"x_min": 0, "x_max": 0.5}, "ReLU"),
    "elu": (NN, "Elu", {"alpha": 0.3}, "ELU"),
    "leaky": (NN, "LeakyRelu", {"negative_slope": 0.1}, "LeakyReLU"),
    "hard silu": (NN, "HardSilu", {}, "Activation"),
}


def operation(module, kind, settings, name="it", read="image"):
    made = nested_configs.entry(kind, name, read, **settings)
    return made | {"module": module}


def saved(reference, path, layers, last):
    layers = [nested_configs.image("image"), *layers, *nested_configs.tail(last)]
    config = nested_configs.functional("m", layers, ["head"])
    return save_model(
        reference, path, {key: config[key] for key in ("module", "class_name", "config")}, seed=1
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_with_settings_is_a_layer(reference, tmp_path, name):
    module, kind, settings, layer = OPERATIONS[name]
    path = saved(reference, tmp_path / "m.keras", [operation(module, kind, settings)], "it")
    found, spec = worst(reference, path)
    assert spec.layer("it").kind == layer
    assert found < ROUNDING


def test_an_axis_that_comes_and_one_that_goes_are_a_reshape(reference, tmp_path):
    layers = [
        operation(NUMPY, "ExpandDims", {"axis": -2}, "more"),
        operation(NUMPY, "Squeeze", {"axis": 3}, "it", "more"),
    ]
    found, spec = worst(reference, saved(reference, tmp_path / "m.keras", layers, "it"))
    assert spec.layer("more").shape == (6, 6, 1, 3)
    assert spec.layer("it").shape == (6, 6, 3)
    assert found < ROUNDING


def test_several_tensors_are_concatenated(reference, tmp_path):
    both = operation(NUMPY, "Concatenate", {"axis": -1})
    both["inbound_nodes"][0]["args"] = [
        [nested_configs.tensor("image"), nested_configs.tensor("other")]
    ]
    layers = [nested_configs.conv("other", "image"), both]
    found, spec = worst(reference, saved(reference, tmp_path / "m.keras", layers, "it"))
    assert spec.layer("it").shape == (6, 6, 6)
    assert found < ROUNDING


REFUSED = {
    "over the batch": ("Max", {"axis": None}, "over all images of a batch"),
    "over the batch by name": ("Mean", {"axis": [0, 1]}, "the answer to one depends on the others"),
    "one axis of two": ("Mean", {"axis": [1]}, "the operation keras.ops Mean, which is not"),
    "into the batch": ("Reshape", {"newshape": [-1, 6, 3]}, "keras.ops Reshape, which is not"),
    "the batch moved": ("Transpose", {"axes": [1, 0, 2, 3]}, "keras.ops Transpose, which is not"),
    "clipped from 1": ("Clip", {"x_min": 1, "x_max": 6}, "keras.ops Clip, which is not"),
    "no layer": ("Sort", {"axis": -1}, "keras.ops Sort, which is not"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_layer_computes_is_refused_with_the_reason(reference, tmp_path, name):
    kind, settings, says = REFUSED[name]
    path = saved(reference, tmp_path / "m.keras", [operation(*OPERATIONS["exp"][:3])], "it")
    with zipfile.ZipFile(path) as archive:
        content = {each: archive.read(each) for each in archive.namelist()}
    config = json.loads(content["config.json"])
    (it,) = (each for each in config["config"]["layers"] if each["name"] == "it")
    it |= {"class_name": kind, "module": NUMPY, "config": {"name": "it", **settings}}
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in content.items():
            archive.writestr(each, json.dumps(config) if each == "config.json" else data)
    with pytest.raises(UserError) as raised:
        read_spec(path)
    assert says in str(raised.value)
