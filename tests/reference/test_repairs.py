"""Files of older Keras are opened after a listed repair, and only where nothing can change."""

import json

import h5py
import numpy as np
import pytest

from conversion.readers import read_spec
from conversion.reference.repairs import CONFIG, REPAIRS, repaired, repairs

DEPTHWISE = {
    "class_name": "DepthwiseConv2D",
    "config": {"name": "depthwise", "groups": 1, "kernel_size": [3, 3]},
}


def written(folder, layers):
    path = folder / "old.h5"
    with h5py.File(path, "w") as file:
        config = {"class_name": "Sequential", "config": {"name": "old", "layers": layers}}
        file.attrs[CONFIG] = json.dumps(config)
        file["weights"] = np.arange(5.0)
    return path


def layers_in(path):
    with h5py.File(path, "r") as file:
        return json.loads(file.attrs[CONFIG])["config"]["layers"]


def test_what_keras_2_wrote_and_never_read_is_left_out_in_a_copy(tmp_path):
    path = written(tmp_path, [DEPTHWISE])
    before = path.read_bytes()
    with repaired(path) as copy:
        assert layers_in(copy)[0]["config"] == {"name": "depthwise", "kernel_size": [3, 3]}
        with h5py.File(copy, "r") as file:
            assert file["weights"][:].tolist() == [0, 1, 2, 3, 4]
    assert path.read_bytes() == before
    assert not copy.exists()


def test_the_repair_is_told_with_its_layer_and_reason(tmp_path):
    (said,) = repairs(written(tmp_path, [DEPTHWISE]))
    assert said.startswith("depthwise: groups=1 left out: Keras 2 wrote")


@pytest.mark.parametrize("groups", [2, 0, "1", True, None, [1]])
def test_a_value_that_would_mean_something_is_left_to_keras_to_refuse(tmp_path, groups):
    layer = {**DEPTHWISE, "config": {**DEPTHWISE["config"], "groups": groups}}
    path = written(tmp_path, [layer])
    assert repairs(path) == []
    with repaired(path) as file:
        assert file == path


def test_the_same_setting_of_another_layer_stays(tmp_path):
    layer = {"class_name": "Conv2D", "config": {"name": "conv", "groups": 1}}
    assert repairs(written(tmp_path, [layer])) == []


def test_a_layer_in_a_model_in_a_model_is_repaired_too(tmp_path):
    inner = {"class_name": "Functional", "config": {"name": "inner", "layers": [DEPTHWISE]}}
    assert len(repairs(written(tmp_path, [inner, DEPTHWISE]))) == 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_what_is_no_hdf5_is_not_touched(tmp_path, content):
    path = tmp_path / "other.keras"
    path.write_bytes(content)
    assert repairs(path) == []


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda each: f"{each.kind}-{each.key}")
def test_every_repair_says_why_the_arithmetic_cannot_change(repair):
    assert len(repair.reason.split()) >= 5


def test_a_file_of_keras_2_with_the_setting_gives_the_outputs_of_one_without(tmp_path, reference):
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {
            "name": "small",
            "layers": [
                {
                    "module": "keras.layers",
                    "class_name": "InputLayer",
                    "config": {"name": "image", "batch_shape": [None, 5, 5, 2]},
                },
                {
                    "module": "keras.layers",
                    "class_name": "DepthwiseConv2D",
                    "config": {"name": "depthwise", "kernel_size": [3, 3], "padding": "same"},
                },
            ],
        },
    }
    new, old = tmp_path / "new.h5", tmp_path / "old.h5"
    reference.call("build", {"config": config, "seed": 0, "path": str(new)})
    old.write_bytes(new.read_bytes())
    with h5py.File(old, "r+") as file:
        stored = json.loads(file.attrs[CONFIG])
        stored["config"]["layers"][1]["config"]["groups"] = 1
        file.attrs[CONFIG] = json.dumps(stored)
    images = {"image": np.random.default_rng(0).normal(size=(3, 5, 5, 2)).astype(np.float32)}
    found = [reference.model(path, read_spec(path)).outputs(images) for path in (new, old)]
    assert len(repairs(old)) == 1
    assert found[0]["depthwise"].tobytes() == found[1]["depthwise"].tobytes()
