"""Files in the notations of Keras 2 and Keras 3 give the same spec."""

import hashlib
import json

import h5py
import legacy_files as files
import numpy as np
import pytest
from legacy_files import conv, dense, image, norm, numbers, plain

from conversion.readers import read_spec

notations = pytest.mark.parametrize("notation", files.NOTATIONS)
LAYERS = ["image", "conv", "norm", "flatten", "dense"]


@pytest.fixture
def read(tmp_path):
    def read(layers, config=None, notation="keras3"):
        return read_spec(files.write(tmp_path / "m.h5", layers, config, notation))

    return read


def branches():
    """One input, two ways, joined again: no order but this and its mirror image."""
    return [
        image(),
        conv("left", "image", numbers(1, 1, 2, 3)),
        conv("right", "image", numbers(1, 1, 2, 3, start=9)),
        plain("Add", "add", "right", "left"),
        plain("Concatenate", "join", "add", "image", axis=-1),
    ]


def names(spec):
    return [layer.name for layer in spec.layers]


@notations
def test_functional_model_has_its_layers_in_order(read, notation):
    spec = read(files.small(), notation=notation)
    assert names(spec) == LAYERS
    assert [layer.inputs for layer in spec.layers] == [(), *((name,) for name in LAYERS[:4])]
    assert (spec.inputs, spec.outputs) == (("image",), ("dense",))


@notations
@pytest.mark.parametrize("layer", files.small(), ids=lambda layer: layer.name)
def test_every_weight_is_the_file_s_own(read, notation, layer):
    found = read(files.small(), notation=notation).layer(layer.name).weights
    assert list(found) == list(layer.weights)
    for role, array in layer.weights.items():
        assert found[role].dtype == np.float32
        np.testing.assert_array_equal(found[role], array)


@notations
def test_shapes_follow_the_settings(read, notation):
    spec = read(files.small(), notation=notation)
    assert [layer.shape for layer in spec.layers] == [(4, 4, 2), (4, 4, 3), (4, 4, 3), (48,), (5,)]


@notations
def test_settings_are_kept_as_keras_wrote_them(read, notation):
    config = read(files.small(), notation=notation).layer("conv").config
    assert (config["padding"], config["activation"], config["filters"]) == ("same", "relu", 3)


@pytest.mark.parametrize(("notation", "version"), [("keras2", "2.4.0"), ("keras3", "3.15.1")])
def test_keras_version_is_the_file_s(read, notation, version):
    assert read(files.small(), notation=notation).keras_version == version


def test_version_may_be_missing(tmp_path):
    path = files.write(tmp_path / "m.h5", files.small())
    with h5py.File(path, "a") as file:
        del file.attrs["keras_version"]
    assert read_spec(path).keras_version == "unknown"


def test_digest_is_that_of_the_bytes(tmp_path):
    path = files.write(tmp_path / "m.h5", files.small())
    assert read_spec(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()


@notations
@pytest.mark.parametrize("with_input", [True, False], ids=["with-input", "without-input"])
def test_sequential_model_is_a_chain(read, notation, with_input):
    layers = files.small()
    spec = read(layers, files.sequential(layers, notation, with_input), notation)
    first = "image" if with_input else "input"
    assert names(spec) == [first, *LAYERS[1:]]
    assert [layer.inputs for layer in spec.layers[1:]] == [(name,) for name in names(spec)[:4]]
    assert (spec.inputs, spec.outputs, spec.layers[0].shape) == ((first,), ("dense",), (4, 4, 2))


def test_sequential_model_may_be_a_bare_list(read):
    layers = files.small()
    config = files.sequential(layers, "keras2", with_input=False)
    config["config"] = config["config"]["layers"]  # as Keras 2.1 wrote it
    assert names(read(layers, config, "keras2"))[1:] == LAYERS[1:]


@notations
def test_layers_may_stand_out_of_order(read, notation):
    layers = branches()[::-1]
    spec = read(layers, files.functional(layers, notation, ["join"]), notation)
    assert set(names(spec)) == {layer.name for layer in layers}
    for layer in spec.layers:
        assert set(layer.inputs) <= set(names(spec)[: names(spec).index(layer.name)])
    np.testing.assert_array_equal(
        spec.layer("right").weights["kernel"], numbers(1, 1, 2, 3, start=9)
    )


@notations
def test_inputs_of_a_layer_keep_their_order(read, notation):
    spec = read(branches(), notation=notation)
    assert spec.layer("add").inputs == ("right", "left")
    assert spec.layer("join").inputs == ("add", "image")
    assert spec.layer("join").shape == (4, 4, 5)


@notations
def test_model_may_have_several_inputs_and_outputs(read, notation):
    layers = [
        image("b", (3,)),
        image("a", (3,)),
        plain("Add", "sum", "a", "b"),
        dense("p", "sum", numbers(3, 2), activation="softmax"),
        dense("q", "sum", numbers(3, 1), activation="sigmoid"),
        plain("ReLU", "r", "q"),
    ]
    spec = read(layers, files.functional(layers, notation, ["r", "p", "q"]), notation)
    assert (spec.inputs, spec.outputs) == (("b", "a"), ("r", "p", "q"))
    assert [spec.head(name) for name in spec.outputs] == ["none", "softmax", "sigmoid"]


def test_softmax_layer_is_a_head(read):
    assert read([*files.small(), plain("Softmax", "end", "dense")]).head("end") == "softmax"


@pytest.mark.parametrize("old_class", ["Functional", "Model"])
def test_functional_models_of_either_name_are_read(read, old_class):
    config = files.functional(files.small(), "keras2") | {"class_name": old_class}
    assert names(read(files.small(), config, "keras2")) == LAYERS


def test_single_call_may_be_written_flat(read):
    config = files.functional(files.small(), "keras2")
    for entry in config["config"]["layers"][1:]:
        entry["inbound_nodes"] = entry["inbound_nodes"][0]
    assert names(read(files.small(), config, "keras2")) == LAYERS


@notations
@pytest.mark.parametrize("kwargs", [{"mask": None}, {"training": False}], ids=["mask", "training"])
def test_idle_call_arguments_are_fine(read, notation, kwargs):
    config = files.functional(files.small(), notation)
    node = config["config"]["layers"][2]["inbound_nodes"][0]
    if notation == "keras2":
        node[0][3] = kwargs
    else:
        node["kwargs"] = kwargs
    assert names(read(files.small(), config, notation)) == LAYERS


@pytest.mark.parametrize("missing", ["gamma", "beta"])
def test_normalization_may_lack_what_it_was_told_to(read, missing):
    setting = {"gamma": "scale", "beta": "center"}[missing]
    layer = norm("norm", "image", 2, **{setting: False})
    del layer.weights[missing]
    assert missing not in read([image(), layer]).layer("norm").weights


@pytest.mark.parametrize("role", ["depthwise_kernel", "kernel"])
def test_depthwise_kernel_has_one_role_under_both_names(read, role):
    settings = {
        "kernel_size": [3, 3],
        "strides": [2, 2],
        "padding": "valid",
        "depth_multiplier": 2,
        "use_bias": False,
    }
    layer = plain("DepthwiseConv2D", "it", "image", **settings)
    layer.weights[role] = numbers(3, 3, 2, 2)
    found = read([image(shape=(8, 7, 2)), layer]).layer("it")
    assert (list(found.weights), found.shape) == (["kernel"], (3, 3, 4))


@pytest.mark.parametrize("stored", ["<f8", ">f4", ">f8"])
def test_wider_and_swapped_floats_are_read_by_value(read, stored):
    layers = files.small()
    layers[1].weights["bias"] = numbers(3).astype(stored)
    found = read(layers).layer("conv").weights["bias"]
    assert found.dtype == np.dtype("float32")
    np.testing.assert_array_equal(found, numbers(3))


def test_compressed_weights_are_read(tmp_path):
    path = files.write(tmp_path / "m.h5", files.small())
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense/dense"]
        del group["kernel"]
        array = np.zeros((48, 5), np.float32)
        group.create_dataset("kernel", data=array, compression=9, shuffle=True, fletcher32=True)
    np.testing.assert_array_equal(read_spec(path).layer("dense").weights["kernel"], array)


def test_long_lists_of_names_may_be_spread_over_attributes(tmp_path):
    path = files.write(tmp_path / "m.h5", files.small())
    with h5py.File(path, "a") as file:
        stored = file["model_weights"].attrs
        listed = stored["layer_names"]
        del stored["layer_names"]
        stored["layer_names0"], stored["layer_names1"] = listed[:2], listed[2:]
    assert names(read_spec(path)) == LAYERS


def test_user_block_and_trailing_bytes_do_not_matter(tmp_path):
    path = files.write(tmp_path / "m.h5", files.small())
    path.write_bytes(b"\0" * 512 + path.read_bytes() + b"more")
    assert names(read_spec(path)) == LAYERS


def test_optimizer_and_training_settings_are_passed_over(tmp_path):
    path = files.write(tmp_path / "m.h5", files.small())
    with h5py.File(path, "a") as file:
        file.attrs["training_config"] = json.dumps({"loss": "categorical_crossentropy"})
        file.create_group("optimizer_weights")["m"] = np.array([np.nan])
    assert names(read_spec(path)) == LAYERS


def test_unknown_name_is_answered_with_the_known_ones(read):
    with pytest.raises(Exception, match=r"'nowhere'.*image, conv, norm, flatten, dense"):
        read(files.small()).layer("nowhere")
