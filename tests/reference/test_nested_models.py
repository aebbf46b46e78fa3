"""Nested models and shared layers: the spec is flat, and every layer is what Keras computes."""

import json

import h5py
import nested_configs
import numpy as np
import pytest
from keras_notation import entry, functional
from nested_configs import MODELS, SHAPE, as_keras_2, image
from tools.keras_models import save_model

from conversion.proof import truth
from conversion.readers import read_spec
from conversion.reference.packing import CONFIG
from conversion.reference.repairs import repairs

SUFFIXES = (".h5", ".keras", ".json")
ROUNDING = 1e-5
"""Of values near 1, float32 against float64; a layer with other weights is off by about 1."""


@pytest.fixture(scope="module")
def built(reference, tmp_path_factory):
    """Name of a model and ending to a file that Keras saved."""
    made = {}

    def build(name, suffix):
        if (name, suffix) not in made:
            path = tmp_path_factory.mktemp("nested") / f"model{suffix}"
            config = {k: v for k, v in MODELS[name].items() if k not in ("name", "inbound_nodes")}
            save_model(reference, path, config, seed=1)
            made[name, suffix] = path
        return made[name, suffix]

    return build


def images(spec, seed=0, count=3):
    random = np.random.default_rng(seed)
    return {name: random.normal(size=(count, *SHAPE)).astype(np.float32) for name in spec.inputs}


def worst(reference, path):
    """The largest distance of any layer of Keras from the truth, and the spec."""
    spec = read_spec(path)
    model, given = reference.model(path, spec), images(spec)
    computed = [layer.name for layer in spec.layers if layer.kind != "InputLayer"]
    keras, exact = model.layer_outputs(given, computed), truth.evaluate(spec, given)
    own, plain = model.outputs(given), model.logits(given)
    for name in spec.outputs:
        assert own[name].tobytes() == keras[name].tobytes()
    distances = [np.abs(keras[name] - exact.layers[name]).max() for name in computed]
    distances += [np.abs(plain[name] - exact.logits[name]).max() for name in spec.outputs]
    return max(distances), spec


TELLING = ("functional", "shared-layer", "both-calls-are-outputs")
"""Models that are also opened in the other formats; all are in the slow tests."""


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        pytest.param(name, suffix, marks=() if quick else pytest.mark.slow)
        for name in MODELS
        for suffix in SUFFIXES
        for quick in [suffix == ".h5" or name in TELLING]
    ],
)
def test_every_layer_is_what_keras_computes(reference, built, name, suffix):
    assert worst(reference, built(name, suffix))[0] < ROUNDING


@pytest.mark.parametrize("name", [each for each in MODELS if "sequential" not in each])
def test_every_format_gives_the_same_layers(built, name):
    first, *others = (read_spec(built(name, suffix)) for suffix in SUFFIXES)
    for other in others:
        for ours, theirs in zip(first.layers, other.layers, strict=True):
            assert (ours.name, ours.kind, ours.inputs, ours.path, ours.shape) == (
                *(theirs.name, theirs.kind, theirs.inputs, theirs.path, theirs.shape),
            )
            for role, array in ours.weights.items():
                assert array.tobytes() == theirs.weights[role].tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_the_counting_of_keras_2_is_read_and_opened(reference, built, tmp_path, name):
    old, new = tmp_path / "old.h5", built(name, ".h5")
    old.write_bytes(new.read_bytes())
    with h5py.File(old, "r+") as file:
        file.attrs[CONFIG] = json.dumps(as_keras_2(json.loads(file.attrs[CONFIG])))
    found, spec = worst(reference, old)
    assert found < ROUNDING
    assert [layer.name for layer in spec.layers] == [layer.name for layer in read_spec(new).layers]
    counted = any("counted as Keras 3 does" in said for said in repairs(old))
    assert counted is (name not in ("first-of-a-sequential", "shared-layer"))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_normalization_inside_has_its_statistics_in_every_format(reference, tmp_path, suffix):
    layers = [image("start"), entry("Normalization", "norm", "start")]
    inside = functional("inside", layers, ["norm"], ["start"], ["image"])
    path = tmp_path / f"model{suffix}"
    save_model(reference, path, functional("outer", [image("image"), inside], ["inside"]), seed=1)
    assert worst(reference, path)[0] < ROUNDING
    # which of the two is right: Keras's own formula on the weights of the file
    spec = read_spec(path)
    given, norm = images(spec), spec.layer("inside/norm").weights
    mean, variance = (norm[role].astype(np.float64) for role in ("mean", "variance"))
    expected = (given["image"] - mean) / np.sqrt(variance)
    (found,) = reference.model(path, spec).outputs(given).values()
    assert np.abs(found - expected).max() < ROUNDING
    assert any("given its statistics" in said for said in repairs(path)) is (suffix == ".h5")


def names(spec):
    return [layer.name for layer in spec.layers]


def test_layers_inside_are_named_by_their_way_from_outside(built):
    spec = read_spec(built("functional", ".keras"))
    inside = ["block/deep/first", "block/deep/norm", "block/last", "block/sum"]
    assert names(spec) == ["image", *inside, "pool", "head"]
    assert spec.layer("block/deep/norm").path == ("block", "deep", "norm")
    assert spec.layer("head").path == ()
    assert spec.layer("block/sum").inputs == ("block/last", "image")


def test_later_calls_of_a_layer_are_numbered_and_have_its_weights(built):
    spec = read_spec(built("shared-layer", ".keras"))
    assert names(spec)[1:4] == ["same", "same@2", "same@3"]
    assert [spec.layer(name).inputs for name in names(spec)[1:4]] == [
        ("image",),
        ("same",),
        ("same@2",),
    ]
    first, third = spec.layer("same"), spec.layer("same@3")
    assert third.weights["kernel"] is first.weights["kernel"]
    assert third.path == ("same",)
    # 3x3x3 kernels of 3 filters with a bias each, once; and a dense layer from 3 to 4
    assert spec.parameters() == 3 * 27 + 3 + 3 * 4 + 4


def test_later_calls_of_a_model_number_the_layers_in_it(built):
    spec = read_spec(built("shared-model", ".keras"))
    assert spec.layer("block/sum@2").inputs == ("block/last@2", "other")
    assert spec.layer("difference").inputs == ("block/sum", "block/sum@2")


def test_a_model_that_begins_with_a_model_takes_its_input_from_there(built):
    spec = read_spec(built("first-of-a-sequential", ".h5"))
    assert names(spec)[1:] == ["chain/first", "chain/norm", "pool", "head"]
    assert spec.layers[0].shape == SHAPE


def test_several_outputs_of_a_model_inside_keep_their_order(built):
    spec = read_spec(built("two-outputs-inside", ".keras"))
    assert spec.layer("sum").inputs == ("ends/right", "ends/left")


def test_outputs_may_lie_inside(built):
    assert read_spec(built("both-calls-are-outputs", ".keras")).outputs == (
        "block/sum",
        "block/sum@2",
    )


def test_a_layer_of_a_name_with_a_slash_beside_one_inside_has_another_name():
    from conversion.readers.nested_models import flat

    inner = nested_configs.chain("a")
    slash = nested_configs.conv("a/first", "a")
    config = nested_configs.functional(
        "m", [nested_configs.image("image"), inner, slash], ["a/first"]
    )
    entries, _, outputs = flat(config)
    assert [entry.name for entry in entries] == ["image", "a/first", "a/norm", "a/first_"]
    assert outputs == ("a/first_",)


def ranges(reference, path, before):
    spec = read_spec(path)
    computed = [layer.name for layer in spec.layers if layer.kind != "InputLayer"]
    given = images(spec)
    model = reference.model(path, spec)
    return computed, model.layer_ranges(given, [(name, before) for name in computed]), spec, given


def test_ranges_of_layers_inside_are_those_of_their_outputs(reference, built):
    computed, found, spec, given = ranges(reference, built("shared-model", ".keras"), before=False)
    exact = truth.evaluate(spec, given).layers
    for name, (low, high, *_) in zip(computed, found, strict=True):
        assert abs(low - exact[name].min()) < ROUNDING
        assert abs(high - exact[name].max()) < ROUNDING


def test_a_layer_inside_may_be_asked_for_before_its_activation(reference, built):
    computed, found, *_ = ranges(reference, built("shared-layer", ".keras"), before=True)
    assert found[computed.index("same@2"), 0] < 0  # a ReLU would have made it 0


ARITHMETIC = {
    "plus": ("Add", 3.0),
    "times": ("Multiply", 0.25),
    "minus": ("Subtract", 1.5),
    "over": ("TrueDivide", 255.0),
}


@pytest.mark.parametrize(("kind", "number"), ARITHMETIC.values(), ids=list(ARITHMETIC))
def test_arithmetic_with_a_number_is_a_rescaling(reference, tmp_path, kind, number):
    operation = nested_configs.entry(kind, "it", "image")
    operation["module"] = "keras.src.ops.numpy"
    operation["inbound_nodes"][0]["args"].append(number)
    config = nested_configs.functional(
        "m", [nested_configs.image("image"), operation, *nested_configs.tail("it")], ["head"]
    )
    path = tmp_path / "model.keras"
    config = {key: config[key] for key in ("module", "class_name", "config")}
    save_model(reference, path, config, seed=1)
    found, spec = worst(reference, path)
    assert spec.layer("it").kind == "Rescaling"
    assert found < ROUNDING


@pytest.mark.parametrize("kind", ["Add", "Multiply", "Subtract", "Maximum", "Minimum"])
def test_arithmetic_of_two_tensors_is_a_layer_of_that_name(reference, tmp_path, kind):
    operation = nested_configs.entry(kind, "it", "image")
    operation["module"] = "keras.src.ops.numpy"
    operation["inbound_nodes"][0]["args"].append(nested_configs.tensor("other"))
    layers = [nested_configs.image("image"), nested_configs.conv("other", "image"), operation]
    config = nested_configs.functional("m", [*layers, *nested_configs.tail("it")], ["head"])
    path = tmp_path / "model.keras"
    config = {key: config[key] for key in ("module", "class_name", "config")}
    save_model(reference, path, config, seed=1)
    found, spec = worst(reference, path)
    assert spec.layer("it").kind == kind
    assert found < ROUNDING
