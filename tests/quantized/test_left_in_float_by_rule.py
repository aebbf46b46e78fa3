"""Layers that eight bits would ruin are left in float without being asked."""

from dataclasses import replace

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion.core.settings import LitertScheme, OnnxScheme, Settings
from conversion.core.spec import Layer, Spec
from conversion.proof.checks.case import Case
from conversion.quantization.by_rule import uneven_or_wide, with_rules
from conversion.quantization.coverage import float_steps, in_float
from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

EVEN = np.full(6, 0.8)
DEAD = np.array([4.0, 0.0, 4.0, 0.0, 4.0, 4.0])
"""Channels of factor 0.5 beside two of 1 / sqrt(1e-3), about 32: 2 of 127 steps."""


def spec(variance=EVEN, activation="relu", gamma=1.0, kind="BatchNormalization"):
    weights = {"kernel": np.ones((3, 3, 3, 6)), "bias": np.zeros(6)}
    statistics = {"moving_variance": variance, "gamma": np.full(6, gamma)}
    layers = (
        Layer("x", "InputLayer", {}, (), {}, (8, 8, 3)),
        Layer("conv", "Conv2D", {"activation": activation}, ("x",), weights, (8, 8, 6)),
        Layer("norm", kind, {"epsilon": 1e-3}, ("conv",), statistics, (8, 8, 6)),
    )
    return Spec("model", layers, ("x",), ("norm",), "digest", "3.15")


@pytest.mark.parametrize(
    ("variance", "activation", "left"),
    [
        pytest.param(EVEN, "relu", [], id="even"),
        pytest.param(DEAD, "relu", ["norm"], id="beside dead channels"),
        pytest.param(DEAD, "linear", [], id="folded into the kernel, which has a scale a channel"),
        # 12 times the factor of the others: 10 of 127 steps
        pytest.param(np.array([1, 1, 1, 1, 1, 6e-3]), "relu", [], id="of enough steps"),
    ],
)
def test_a_normalization_whose_factors_have_few_steps_is_left_in_float(variance, activation, left):
    assert uneven_or_wide(spec(variance, activation)) == left


def test_a_normalization_behind_a_dense_layer_is_left_in_float_in_onnx_alone():
    """ONNX Runtime folds none there; LiteRT does."""
    found = spec(DEAD, "linear")
    dense = Layer("conv", "Dense", {}, ("x",), {"kernel": np.ones((3, 6))}, (8, 8, 6))
    made = with_rules(replace(found, layers=(found.layers[0], dense, found.layers[2])), Settings())
    assert made.onnx.float_layers == ("norm",)
    assert made.litert.float_layers == ()


@pytest.mark.parametrize("between", ["Dropout", "ReLU"])
def test_what_takes_over_such_a_normalization_in_litert_is_left_in_float_too(between):
    """It has a scale for each channel that it gives, and none for those that it reads."""
    found = spec(DEAD, "relu")
    after = (
        Layer("kept", between, {}, ("norm",), {}, (8, 8, 6)),
        Layer("dense", "Dense", {}, ("kept",), {"kernel": np.ones((6, 4))}, (8, 8, 4)),
    )
    made = with_rules(replace(found, layers=(*found.layers, *after)), Settings())
    assert made.onnx.float_layers == ("norm",)
    assert made.litert.float_layers == (("norm", "dense") if between == "Dropout" else ("norm",))


@pytest.mark.parametrize(
    ("variance", "invert", "left"),
    [(np.array([1, 1, 1, 1, 1, 900]), False, ["norm"]), (EVEN, False, []), (DEAD, True, [])],
    ids=["of few steps", "even", "inverted"],
)
def test_a_normalization_by_statistics_of_data_is_folded_into_no_kernel(variance, invert, left):
    found = spec(activation="linear", kind="Normalization")
    (norm,) = (each for each in found.layers if each.name == "norm")
    statistics = {"mean": np.zeros(6), "variance": variance}
    own = replace(norm, config={"invert": invert}, weights=statistics)
    assert uneven_or_wide(replace(found, layers=(*found.layers[:2], own))) == left


@pytest.mark.parametrize(
    ("activation", "left"), [("sparsemax", ("conv",)), ("selu", ()), ("relu", ())]
)
def test_a_layer_with_an_activation_that_eight_bits_cannot_hold_is_left_in_float(activation, left):
    made = with_rules(spec(activation=activation), Settings())
    assert made.onnx.float_layers == made.litert.float_layers == left


def test_litert_leaves_an_activation_of_exponentials_in_float_and_not_its_kernel():
    found = spec(activation="selu")
    assert [*float_steps(found, Settings())] == ["conv"]
    assert in_float(found, "litert", Settings()) == {}


def test_a_channel_that_gives_next_to_nothing_does_not_count():
    found = spec(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    found.layers[2].weights["gamma"][5] = 1e-3
    assert uneven_or_wide(found) == []


FAR = {"moving_mean": np.array([60.0, 0, 0, 0, 0, 0])}
"""The spread is 0.9 and a result spans 4 to a side: the product of this channel spans 71."""


@pytest.mark.parametrize(
    ("kernel", "activation", "mean", "onnx", "litert"),
    [
        pytest.param("Dense", "linear", FAR, ("norm",), (), id="dense, into which LiteRT folds it"),
        pytest.param("Dense", "relu", FAR, ("norm",), ("norm",), id="behind an activation"),
        pytest.param("Conv2D", "linear", FAR, (), (), id="convolution"),
        pytest.param("SeparableConv1D", "linear", FAR, ("norm",), (), id="along one axis"),
        pytest.param("Dense", "linear", {"moving_mean": np.full(6, 5.0)}, (), (), id="near"),
    ],
)
def test_a_normalization_whose_product_spans_many_times_its_result_is_left_in_float(
    kernel, activation, mean, onnx, litert
):
    found = spec(activation=activation)
    image, layer, norm = found.layers
    layers = (image, replace(layer, kind=kernel), replace(norm, weights={**norm.weights, **mean}))
    made = with_rules(replace(found, layers=layers), Settings())
    assert (made.onnx.float_layers, made.litert.float_layers) == (onnx, litert)


def test_what_the_user_chose_stays_chosen_and_nothing_is_added_twice():
    chosen = Settings(onnx=OnnxScheme(float_layers=("norm", "conv")))
    made = with_rules(spec(DEAD), chosen)
    assert made.onnx.float_layers == ("norm", "conv")
    assert made.litert.float_layers == ("norm",)
    assert made.torch.float_layers == ()
    assert with_rules(spec(DEAD), made) == made


@pytest.mark.parametrize("kind", ["LayerNormalization", "GroupNormalization", "UnitNormalization"])
def test_normalizations_that_measure_their_input_are_left_in_float(kind):
    assert with_rules(spec(kind=kind), Settings()).onnx.float_layers == ("norm",)


@pytest.mark.parametrize(("normalize", "left"), [(True, ("dot",)), (False, ())])
def test_a_dot_that_measures_its_inputs_is_left_in_float(normalize, left):
    config = {"axes": 1, "normalize": normalize}
    given = tuple(Layer(name, "InputLayer", {}, (), {}, (8,)) for name in "xy")
    layers = (*given, Layer("dot", "Dot", config, ("x", "y"), {}, (1,)))
    made = with_rules(Spec("model", layers, ("x", "y"), ("dot",), "digest", "3.15"), Settings())
    assert made.onnx.float_layers == made.litert.float_layers == left


def test_a_label_names_three_layers_and_counts_the_others():
    assert LitertScheme(tuple("abc")).label == "int8-channel-minmax, a+b+c in float"
    assert LitertScheme(tuple("abcde")).label == "int8-channel-minmax, a+b+c and 2 more in float"


def test_litert_leaves_what_has_one_range_in_float_beside_a_float_layer():
    layers = (
        Layer("x", "InputLayer", {}, (), {}, (8, 8, 3)),
        Layer("y", "ReLU", {}, ("x",), {}, (8, 8, 3)),
        Layer("elu", "Dense", {"activation": {"class_name": "ELU"}}, ("x",), {}, (8, 8, 3)),
        Layer("beside", "Maximum", {}, ("y", "elu"), {}, (8, 8, 3)),
        Layer("apart", "Maximum", {}, ("y", "x"), {}, (8, 8, 3)),
    )
    found = float_steps(Spec("model", layers, ("x",), ("apart",), "digest", "3.15"), Settings())
    assert [*found] == ["elu", "beside"]


IMAGE, CHANNELS = (10, 10, 3), 6


@pytest.fixture(scope="module")
def workspace(reference, store, tmp_path_factory):
    """A normalization behind a ReLU, two of whose channels are dead, and images."""
    import h5py

    layers = [
        ("InputLayer", {"batch_shape": [None, *IMAGE], "dtype": "float32", "name": "image"}),
        ("Conv2D", {"filters": 6, "kernel_size": [3, 3], "activation": "relu", "name": "conv"}),
        ("BatchNormalization", {"epsilon": 1e-3, "name": "norm"}),
        ("GlobalAveragePooling2D", {"name": "pool"}),
        ("Dense", {"units": 4, "name": "scores"}),
    ]
    path = tmp_path_factory.mktemp("dead") / "dead.h5"
    save_model(reference, path, sequential("dead", layers), seed=2)
    with h5py.File(path, "r+") as file:
        for each in _of_layer(file, "conv").values():
            values = each[...]
            values[..., [1, 3]] = 0.0
            each[...] = values
        for name, each in _of_layer(file, "norm").items():
            values = each[...]
            values[[1, 3]] = 0.0 if name.startswith("moving") else values[[1, 3]]
            each[...] = values + 400.0 * (name.startswith("moving_v") * (values > 0))
    found = read_spec(path)
    images = np.random.default_rng(0).uniform(0, 30, (120, *IMAGE)).astype(np.float32)
    test, train = (Dataset(part, None, "drawn") for part in np.split(images, 2))
    return Workspace(Subject("dead", path, found, test=test, train=train), reference, store)


def _of_layer(file, name):
    """The arrays of a layer, by their last word."""
    found = {}

    def note(path, each):
        if hasattr(each, "shape") and f"/{name}/" in f"/{path}/":
            found[path.rsplit("/", 1)[-1]] = each

    file.visititems(note)
    return found


@pytest.mark.parametrize("name", ["onnx-int8", "litert-int8"])
def test_the_outputs_of_a_file_with_dead_channels_still_vary(workspace, name):
    assert uneven_or_wide(workspace.spec) == ["norm"]
    (exact,), (found,) = workspace.truth.values(), workspace.outputs(name).arrays.values()
    for channel in np.argsort(exact.std(axis=0))[1:]:
        # In eight bits the three come to -0.37, 0.79 and 0.86.
        assert np.corrcoef(exact[:, channel], found[: len(exact), channel])[0, 1] > 0.9
    assert "norm" in Case(workspace, name).in_float
