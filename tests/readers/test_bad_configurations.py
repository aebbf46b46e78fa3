"""A configuration that is broken or not supported gives one sentence that names the layer."""

import json

import legacy_files as files
import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from legacy_files import image, plain
from refused_files import case, refusal

from conversion.core.errors import UserError
from conversion.readers import read_spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        case("", "Expected JSON", id="empty"),
        case("{'a': 1}", "Expected JSON", id="not-json"),
        case('{"class_name": "Func', "Expected JSON", id="cut-off"),
        case("[" * 60_000, "Expected JSON", id="nested-60000"),
        case("[" * 900 + "]" * 900, "Expected a model", id="nested-900"),
        case("null", "Expected a model", "None", id="null"),
        case("{}", "Expected a model", "{}", id="no-keys"),
        case("7", "Expected a model", "7", id="number"),
        case('{"config": null}', "Functional or Sequential", id="no-class"),
        case('{"class_name": "Mine", "config": {}}', "'Mine'", id="subclassed"),
        case('{"class_name": "Functional", "config": 3}', "'Functional'", id="no-layers"),
        case('{"class_name": "Sequential", "config": {"layers": []}}', "empty", id="no-layer"),
        case('{"class_name": "Functional", "config": {}}', "as Keras writes them", id="bare"),
    ],
)
def test_configuration_that_is_no_model_is_refused(path, text, words):
    files.write(path, files.small(), config=text)
    sentence = refusal(path)
    assert all(word in sentence for word in ("model", *words)), sentence


def entry(config, name):
    return next(each for each in config["config"]["layers"] if each["name"] == name)


def set_(name, **changes):
    """Changes the settings of a layer."""
    return lambda config: entry(config, name)["config"].update(changes)


def no_settings(config):
    del entry(config, "conv")["config"]["filters"]


def no_connections(config):
    del entry(config, "conv")["inbound_nodes"]


def reads_second_call(config):
    node = entry(config, "norm")["inbound_nodes"][0]
    node["args"][0]["config"]["keras_history"][1] = 1


def reads(name, *sources):
    def change(config):
        tensors = [files.tensor(source) for source in sources]
        entry(config, name)["inbound_nodes"] = [{"args": tensors, "kwargs": {}}]

    return change


def reads_second_output(config):
    node = entry(config, "norm")["inbound_nodes"][0]
    node["args"][0]["config"]["keras_history"][2] = 1


def reads_constant(config):
    entry(config, "norm")["inbound_nodes"][0]["args"][0] = 2.5


def reads_nothing(config):
    entry(config, "norm")["inbound_nodes"] = []


def called_with_training(config):
    entry(config, "norm")["inbound_nodes"][0]["kwargs"] = {"training": True}


def nested(config):
    entry(config, "conv")["class_name"] = "Functional"


def same_name_twice(config):
    config["config"]["layers"].insert(3, entry(config, "norm"))


def other_name_in_settings(config):
    entry(config, "norm")["config"]["name"] = "conv"


def unprintable_name_in_settings(config):
    entry(config, "norm")["config"]["name"] = "n\x07rm\ud800"


def newline_in_a_name(config):
    for place in (entry(config, "image"), entry(config, "image")["config"]):
        place["name"] = "two\nlines"


def ends(which, *names):
    return lambda config: config["config"].update({which: [[name, 0, 0] for name in names]})


def kind(name, other):
    return lambda config: entry(config, name).update(class_name=other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        case(kind("flatten", "Masking"), "'flatten'", "Masking", "docs/supported.md", id="masking"),
        case(kind("conv", "Conv3D"), "'conv'", "Conv3D", "3 spatial axes", id="conv3d"),
        case(kind("conv", "My\nLayer"), "printable", id="unprintable-class"),
        case(set_("conv", data_format="sideways"), "'conv'", "sideways", id="layout"),
        case(set_("conv", padding="causal"), "'conv'", "causal", "valid, same", id="padding"),
        case(set_("conv", activation="threshold"), "'conv'", "threshold", "relu6", id="activation"),
        case(set_("conv", groups=2), "'conv'", "groups", id="groups-do-not-divide"),
        case(set_("conv", filters=10**9), "conv/kernel", "(3, 3, 2, 1000000000)", id="billion"),
        case(set_("conv", strides=[0, 1]), "'conv'", "do not fit", id="stride-zero"),
        case(set_("conv", strides=[-1, 1]), "'conv'", "shape", id="stride-negative"),
        case(set_("conv", strides=[1]), "'conv'", "has 1 values", id="one-stride"),
        case(set_("conv", kernel_size="3x3"), "'conv'", "has 3 values", id="kernel-words"),
        case(
            set_("conv", kernel_size=[9, 9], padding="valid"), "'conv'", "9", "of 4", id="too-large"
        ),
        case(set_("norm", axis=0), "'norm'", "axis 0", id="normalization-of-the-batch"),
        case(set_("norm", axis=[1, 2]), "'norm'", "axis [1, 2]", id="normalization-axis-list"),
        case(set_("norm", epsilon="tiny"), "'norm'", "epsilon", "no number", id="epsilon-word"),
        case(set_("norm", epsilon=float("nan")), "'norm'", "epsilon", id="epsilon-nan"),
        case(set_("norm", renorm=True), "'norm'", "renorm", id="renorm"),
        case(set_("dense", units=None), "'dense/kernel'", "(48, 5)", id="units-none"),
        case(set_("dense", dtype="complex64"), "'dense'", "complex64", id="complex"),
        case(set_("image", dtype="string"), "'image'", "string", id="words"),
        case(
            set_("dense", dtype={"class_name": "DTypePolicy", "config": {"name": "int8"}}),
            "'dense'",
            "int8",
            id="int8-policy",
        ),
        case(set_("image", batch_shape=[None, 0, 4, 2]), "'image'", "(0, 4, 2)", id="no-pixels"),
        case(set_("image", batch_shape=7), "'image'", "do not fit", id="shape-number"),
        case(no_settings, "'conv'", "filters", id="setting-missing"),
        case(no_connections, "as Keras writes them", "inbound_nodes", id="no-connections"),
        case(reads_second_call, "missing layer", "norm", id="second-call"),
        case(nested, "as Keras writes them", "'layers'", id="nested-without-layers"),
        case(called_with_training, "'norm'", "'training': True", id="training-argument"),
        case(reads_constant, "'norm'", "constant", "2.5", id="constant"),
        case(reads_second_output, "'norm'", "output 1 of 'conv'", id="second-output"),
        case(reads_nothing, "'norm'", "reads nothing", id="no-input"),
        case(reads("conv", "dense"), "circle", "conv, norm, flatten, dense", id="cycle"),
        case(reads("conv", "conv"), "circle", "conv", id="reads-itself"),
        case(reads("conv", "nowhere"), "missing layer", "conv", id="reads-nowhere"),
        case(reads("image", "conv"), "'image'", "['conv']", id="input-that-reads"),
        case(same_name_twice, "Two layers", "'norm'", id="duplicate-names"),
        case(other_name_in_settings, "'norm'", "'conv'", id="two-names"),
        case(unprintable_name_in_settings, "'n\\x07rm\\ud800'", id="unprintable-name"),
        case(newline_in_a_name, "printable", "two\\nlines", id="newline-in-name"),
        case(ends("output_layers", "nowhere"), "nowhere", id="output-nowhere"),
        case(ends("output_layers", "dense", "dense"), "different", id="output-twice"),
        case(ends("output_layers"), "outputs", id="no-outputs"),
        case(ends("input_layers", "conv"), "['image']", "['conv']", id="input-is-no-input"),
    ],
)
def test_configuration_that_is_not_supported_is_refused(path, change, words):
    config = files.functional(files.small())
    change(config)
    files.write(path, files.small(), config)
    sentence = refusal(path)
    assert all(word in sentence for word in words), sentence


def test_unsupported_layer_is_told_where_those_that_are_stand_and_the_ways_on(path):
    config = files.functional(files.small())
    kind("flatten", "Squeeze")(config)
    sentence = refusal(files.write(path, files.small(), config))
    assert "docs/supported.md has those that are" in sentence
    assert "--custom FILE.py" in sentence


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        case(plain("Add", "it", "image", "small"), "do not fit each other", id="add-broadcast"),
        case(plain("Concatenate", "it", "image", "small", axis=0), "axis 0", id="join-images"),
        case(plain("Concatenate", "it", "image", "small", axis=-4), "axis -4", id="join-batch"),
        case(plain("Concatenate", "it", "image", "small", axis=3), "other axes", id="join-sizes"),
        case(plain("Reshape", "it", "image", target_shape=[5, 5]), "(5, 5)", id="reshape-size"),
        case(plain("Reshape", "it", "image", target_shape=[-1, 5]), "(6, 5)", id="reshape-rest"),
        case(plain("Reshape", "it", "image", target_shape=[-1, -1]), "shape", id="reshape-open"),
        case(plain("Softmax", "it", "image", axis=4), "axis 4", id="softmax-axis"),
        case(plain("ReLU", "it", "image", max_value=[6, "6"]), "max_value", id="relu-word"),
        case(
            plain("Rescaling", "it", "image", scale={"config": {"value": "1"}}, offset=0),
            "scale",
            id="rescaling-word",
        ),
        case(
            plain("MaxPooling2D", "it", "image", pool_size=[5, 5], padding="valid"),
            "reaches over 5",
            id="pool-too-large",
        ),
    ],
)
def test_settings_that_contradict_the_inputs_are_refused(path, layer, words):
    layers = [image(), image("small", (2, 4, 2)), layer]
    sentence = refusal(files.write(path, layers))
    assert all(word in sentence for word in ("'it'", *words)), sentence


def test_sequential_model_needs_an_input_shape(path):
    config = files.sequential(files.small(), with_input=False)
    del config["config"]["layers"][0]["config"]["batch_input_shape"]
    assert "input shape" in refusal(files.write(path, files.small(), config))


def test_sequential_model_needs_different_names(path):
    layers = [image(), plain("ReLU", "it", "image"), plain("Softmax", "it", "it")]
    config = files.sequential(layers)
    assert "Two layers are named 'it'" in refusal(files.write(path, layers[:2], config))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**9) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value, found=()):
    """Where every value inside a configuration is."""
    if found:
        yield found
    if isinstance(value, dict | list):
        for step in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[step], (*found, step))


@pytest.mark.parametrize("notation", files.NOTATIONS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_gives_a_spec_or_a_sentence(path, notation, data):
    config = files.functional(files.small(), notation)
    *way, last = data.draw(st.sampled_from(list(places(config))))
    holder = config
    for step in way:
        holder = holder[step]
    holder[last] = data.draw(JUNK)
    files.write(path, files.small(), json.dumps(config), notation)
    try:
        spec = read_spec(path)
    except UserError:
        event("refused")
        refusal(path)
        return
    event("read")
    for layer in spec.layers:
        assert all(size is None or size > 0 for size in layer.shape)
        assert all(np.isfinite(array).all() for array in layer.weights.values())
