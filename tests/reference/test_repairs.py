"""Files of older Keras are opened after a listed repair, and only where nothing can change."""

import json
import zipfile

import h5py
import numpy as np
import pytest
from tools.keras_models import save_model

from conversion.readers import read_spec
from conversion.reference.packing import CONFIG, DESCRIPTION, described
from conversion.reference.repairs import (
    CHANGES,
    REPAIRS,
    keras_name,
    repaired,
    repairs,
)

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
    return json.loads(described(path))["config"]["layers"]


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


def test_the_one_end_of_a_model_in_a_sequential_is_written_alone(tmp_path):
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}
    inner = {"class_name": "Functional", "config": {"name": "inner", "layers": [], **ends}}
    path = written(tmp_path, [inner])
    with repaired(path) as copy:
        (found,) = layers_in(copy)
        assert found["config"]["input_layers"] == ["x", 0, 0]
        assert found["config"]["output_layers"] == ["y", 0, 0]
    assert any("inner: its one end written alone" in said for said in repairs(path))


SHAPE = {"batch_input_shape": [None, 4, 4, 2]}
INPUT = {"class_name": "InputLayer", "config": {"name": "image", **SHAPE}}


def test_a_shape_that_the_input_layer_states_is_left_out_behind_it(tmp_path):
    layer = {"class_name": "ReLU", "config": {"name": "relu", **SHAPE}}
    path = written(tmp_path, [INPUT, layer])
    assert any("batch_input_shape left out behind" in said for said in repairs(path))
    with repaired(path) as copy:
        first, second = layers_in(copy)
        assert first["config"]["batch_shape"] == SHAPE["batch_input_shape"]
        assert second["config"] == {"name": "relu"}


@pytest.mark.parametrize("key", ["batch_shape", "batch_input_shape"])
def test_a_fixed_batch_is_left_open(tmp_path, key):
    first = {"class_name": "InputLayer", "config": {"name": "x", key: [32, 8, 8, 3]}}
    with repaired(written(tmp_path, [first])) as path:
        (found,) = layers_in(path)
        assert found["config"]["batch_shape"] == [None, 8, 8, 3]


def test_how_a_nested_model_was_trained_is_left_out(tmp_path):
    inner = {"name": "inner", "layers": [INPUT]}
    nested = {"class_name": "Sequential", "config": inner, "compile_config": {"loss": "mse"}}
    path = written(tmp_path, [INPUT, nested])
    assert any("compile_config of a nested model" in said for said in repairs(path))
    with repaired(path) as copy:
        assert "compile_config" not in layers_in(copy)[1]


@pytest.mark.parametrize("groups", [2, 0, "1", True, None, [1]])
def test_a_value_that_would_mean_something_is_left_to_keras_to_refuse(tmp_path, groups):
    layer = {**DEPTHWISE, "config": {**DEPTHWISE["config"], "groups": groups}}
    path = written(tmp_path, [layer])
    assert repairs(path) == []
    with repaired(path) as file:
        assert file == path


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        ("Conv2D", {"groups": 1}),
        ("BatchNormalization", {"virtual_batch_size": 2}),
        ("BatchNormalization", {"renorm": True}),
        ("SpatialDropout2D", {"rate": 0.5}),
        ("Conv2D", {"kernel_initializer": {"class_name": "Mine", "config": {"dtype": "x"}}}),
        ("Conv2D", {"dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}}}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_any_other_setting_stays(tmp_path, kind, setting):
    layer = {"class_name": kind, "config": {"name": "it", **setting}}
    assert repairs(written(tmp_path, [layer])) == []


def test_a_layer_in_a_model_in_a_model_is_repaired_too(tmp_path):
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": [DEPTHWISE]}}
    assert len(repairs(written(tmp_path, [inner, DEPTHWISE]))) == 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_what_has_no_description_is_not_touched(tmp_path, content):
    path = tmp_path / "other.keras"
    path.write_bytes(content)
    assert repairs(path) == []


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda each: f"{each.kinds[0]}-{each.key}")
def test_every_repair_says_why_the_arithmetic_cannot_change(repair):
    assert len(repair.reason.split()) >= 5


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
def test_every_change_says_what_it_is(change):
    assert len(change.__doc__.split()) >= 5


def layer(kind, name, **settings):
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **settings}}


WINDOW = {"kernel_size": [3, 3], "padding": "same"}
LAYERS = [
    layer("InputLayer", "image", batch_shape=[None, 5, 5, 2]),
    layer("DepthwiseConv2D", "depthwise", **WINDOW),
    layer("Conv2DTranspose", "transposed", filters=3, **WINDOW),
    layer("SeparableConv2D", "separable", filters=4, **WINDOW),
    layer("BatchNormalization", "norm"),
    layer("LeakyReLU", "leaky", negative_slope=0.25),
    layer("SpatialDropout2D", "dropout", rate=0.5),
    layer("RandomRotation", "turned", factor=0.1),
]


@pytest.fixture(scope="module")
def new(tmp_path_factory, reference):
    """A file of today's Keras with the layers that older files have trouble with."""
    folder = tmp_path_factory.mktemp("new")
    config = {"name": "small", "layers": LAYERS}
    whole = {"module": "keras", "class_name": "Sequential", "config": config}
    save_model(reference, folder / "new.h5", whole)
    return folder / "new.h5"


def entry(config, layer):
    return next(each for each in config["config"]["layers"] if each["config"]["name"] == layer)


def settings(layer, **changes):
    return lambda config: entry(config, layer)["config"].update(changes)


def of_class(layer, kind):
    return lambda config: entry(config, layer).update(class_name=kind)


def bare_list(config):
    config["config"] = config["config"]["layers"]


def without_input(config):
    first, second = config["config"]["layers"][:2]
    second["config"]["batch_input_shape"] = first["config"]["batch_shape"]
    del config["config"]["layers"][0]


def leaky_as_array(config):
    found = entry(config, "leaky")["config"]
    found["alpha"] = {"type": "ndarray", "value": found.pop("negative_slope")}


UNIFORM = {"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}}
POLICY = {"class_name": "Policy", "config": {"name": "float32"}}
OLD = {
    "depthwise-groups": (settings("depthwise", groups=1), "groups=1 left out"),
    "transposed-groups": (settings("transposed", groups=1), "groups=1 left out"),
    "separable-groups": (settings("separable", groups=1), "groups=1 left out"),
    "separable-initializer": (
        settings("separable", kernel_initializer=UNIFORM),
        "kernel_initializer=... left out",
    ),
    "separable-regularizer": (
        settings("separable", kernel_regularizer=None),
        "kernel_regularizer=None left out",
    ),
    "initializer-dtype": (settings("transposed", kernel_initializer=UNIFORM), "dtype=float32"),
    "virtual-batch": (settings("norm", virtual_batch_size=None), "virtual_batch_size=None"),
    "fused": (settings("norm", fused=True), "it chooses a kernel"),
    "adjustment": (settings("norm", adjustment=None), "adjustment=None"),
    "norm-v1": (of_class("norm", "BatchNormalizationV1"), "read as BatchNormalization"),
    "norm-v2": (of_class("norm", "BatchNormalizationV2"), "read as BatchNormalization"),
    "norm-sync": (of_class("norm", "SyncBatchNormalization"), "read as BatchNormalization"),
    "dropout-trainable": (settings("dropout", trainable=False), "trainable=False left out"),
    "value-range": (settings("turned", value_range=[0, 255]), "value_range=... left out"),
    "array": (leaky_as_array, "alpha written as plain numbers"),
    "policy": (settings("norm", dtype=POLICY), "dtype Policy written as 'float32'"),
    "bare-list": (bare_list, "the list of layers put"),
    "without-input": (without_input, "written as an InputLayer"),
    "slash": (settings("separable", name="block/separable"), "named 'block.separable'"),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize(("change", "words"), OLD.values(), ids=list(OLD))
def test_an_older_description_gives_the_outputs_of_todays(tmp_path, reference, new, change, words):
    old = tmp_path / "old.h5"
    old.write_bytes(new.read_bytes())
    with h5py.File(old, "r+") as file:
        stored = json.loads(file.attrs[CONFIG])
        change(stored)
        file.attrs[CONFIG] = json.dumps(stored)
        if "block" in words:
            move(file["model_weights"], "separable", "block/separable")
    assert any(words in said for said in repairs(old))
    found = [outputs(reference, path) for path in (new, old)]
    assert found[0].tobytes() == found[1].tobytes()


def move(group, name, other):
    group.move(name, other)
    listed = [other if each == name else each for each in group.attrs["layer_names"]]
    group.attrs["layer_names"] = np.array(listed, dtype=object)


def outputs(reference, path):
    spec = read_spec(path)
    images = np.random.default_rng(0).normal(size=(3, 5, 5, 2)).astype(np.float32)
    model = reference.model(path, spec)
    tapped = model.layer_outputs({spec.inputs[0]: images}, list(spec.outputs))
    (found,) = model.outputs({spec.inputs[0]: images}).values()
    assert found.tobytes() == tapped[spec.outputs[0]].tobytes()
    return found


def test_an_archive_of_keras_2_is_opened_with_its_classes_where_they_are_today(tmp_path, reference):
    path = tmp_path / "new.keras"
    whole = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": LAYERS},
    }
    save_model(reference, path, whole)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members[DESCRIPTION])
    config |= {"module": "keras.src.engine.sequential", "registered_name": "Sequential"}
    members[DESCRIPTION] = json.dumps(config).encode()
    old = tmp_path / "old.keras"
    with zipfile.ZipFile(old, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert repairs(old) == [
        "s: Sequential taken from keras, not keras.src.engine.sequential: the class was moved"
    ]
    found = [outputs(reference, each) for each in (path, old)]
    assert found[0].tobytes() == found[1].tobytes()


@pytest.mark.parametrize("name", ["a/b", "a/b/c"])
def test_a_name_that_keras_3_refuses_has_none_of_the_slashes(name):
    assert keras_name(name) == name.replace("/", ".")
