"""Layers that normalise, whatever their settings, compute what Keras computes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import seeds

from conversion.core.errors import UserError

SHAPES = [[7], [4, 5], [3, 4, 6]]
any_shape = st.sampled_from(SHAPES)
epsilons = st.sampled_from((1e-6, 1e-5, 1e-3, 0.1, 1.5))
affine = st.fixed_dictionaries({"scale": st.booleans(), "center": st.booleans()})


@st.composite
def one_axis(draw):
    shape = draw(any_shape)
    return shape, draw(st.integers(1, len(shape)) | st.integers(-len(shape), -1))


@st.composite
def several_axes(draw):
    shape = draw(any_shape)
    return shape, draw(st.lists(st.integers(1, len(shape)), min_size=1, unique=True))


@settings(max_examples=25)
@given(one_axis(), epsilons, affine, seeds)
def test_batch_normalization(agree, place, epsilon, chosen, seed):
    shape, axis = place
    made = layer("BatchNormalization", axis=axis, epsilon=epsilon, **chosen)
    agree(sequential(shape, made), images(shape, seed), seed=seed)


@settings(max_examples=25)
@given(one_axis() | several_axes(), epsilons, affine, seeds)
def test_layer_normalization(agree, place, epsilon, chosen, seed):
    shape, axis = place
    made = layer("LayerNormalization", axis=axis, epsilon=epsilon, **chosen)
    agree(sequential(shape, made), images(shape, seed, mean=0.5), seed=seed, ending=".keras")


@settings(max_examples=25)
@given(st.sampled_from([[9], [5, 4], [3, 4, 6]]), st.data(), epsilons, affine, seeds)
def test_group_normalization(agree, shape, data, epsilon, chosen, seed):
    axis = data.draw(st.integers(1, len(shape)) | st.integers(-len(shape), -1))
    size = shape[axis - (axis > 0)]
    groups = data.draw(st.sampled_from([g for g in range(1, size + 1) if size % g == 0] + [-1]))
    made = layer("GroupNormalization", groups=groups, axis=axis, epsilon=epsilon, **chosen)
    agree(sequential(shape, made), images(shape, seed, mean=0.5), seed=seed)


@settings(max_examples=15)
@given(st.sampled_from([[9], [5, 4], [3, 4, 6]]), epsilons, seeds)
def test_rms_normalization(agree, shape, epsilon, seed):
    made = layer("RMSNormalization", epsilon=epsilon)
    agree(sequential(shape, made), images(shape, seed, mean=0.5), seed=seed, ending=".keras")


@settings(max_examples=15)
@given(one_axis() | several_axes(), seeds)
def test_unit_normalization(agree, place, seed):
    shape, axis = place
    made = layer("UnitNormalization", axis=axis)
    agree(sequential(shape, made), images(shape, seed), ending=".keras")


def test_unit_normalization_of_zeros(agree):
    values = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]], np.float32)
    agree(sequential([3], layer("UnitNormalization")), values)


@settings(max_examples=15)
@given(one_axis() | several_axes(), st.booleans(), seeds)
def test_normalization_by_what_the_file_stores(agree, place, invert, seed):
    shape, axis = place
    made = layer("Normalization", axis=axis, invert=invert)
    agree(sequential(shape, made), images(shape, seed), seed=seed, ending=".keras")


GIVEN = {
    "one number": {"axis": None, "mean": 2.0, "variance": 3.0},
    "one for each channel": {"axis": -1, "mean": [1.0, 2.0, 3.0], "variance": [4.0, 0.5, 0.0]},
    "one number for each channel": {"axis": -1, "mean": 1.5, "variance": 0.25},
    "rows and channels": {"axis": [1, 3], "mean": [[1, 2, 3]] * 2, "variance": [[4, 5, 6]] * 2},
    "channels of rows and channels": {"axis": [1, 3], "mean": [1, 2, 3], "variance": [4, 5, 6]},
}


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("chosen", GIVEN.values(), ids=GIVEN)
def test_normalization_by_what_the_settings_say(agree, chosen, invert):
    made = layer("Normalization", invert=invert, **chosen)
    agree(sequential([2, 4, 3], made), images([2, 4, 3]), ending=".keras")


@pytest.mark.parametrize("kind", ["LayerNormalization", "UnitNormalization", "Normalization"])
@pytest.mark.parametrize("axis", [1, [2], -1])
def test_one_axis_in_a_legacy_file(agree, kind, axis):
    agree(sequential([4, 5], layer(kind, axis=axis)), images([4, 5]))


@pytest.mark.parametrize("kind", ["LayerNormalization", "UnitNormalization", "Softmax"])
def test_several_axes_in_a_legacy_file_are_refused(small, kind):
    with pytest.raises(UserError, match=r"forgets a list of axes .*save the model as \.keras"):
        small(sequential([4, 5], layer(kind, axis=[1, 2])))


def test_the_count_that_normalization_stores_is_no_weight(small):
    spec = small(sequential([3], layer("Normalization"))).spec
    assert sorted(spec.layer("it").weights) == ["mean", "variance"]


AFTER_A_CONVOLUTION = {
    "layer": ("LayerNormalization", {}),
    "group": ("GroupNormalization", {"groups": 2}),
    "rms": ("RMSNormalization", {}),
    "unit": ("UnitNormalization", {}),
    "batch of rows": ("BatchNormalization", {"axis": 1}),
    "stored": ("Normalization", {}),
}


@pytest.mark.parametrize(("kind", "chosen"), AFTER_A_CONVOLUTION.values(), ids=AFTER_A_CONVOLUTION)
def test_normalization_between_convolutions(agree, kind, chosen):
    conv = layer("Conv2D", "conv", filters=4, kernel_size=[2, 3])
    after = layer("Conv2D", "after", filters=2, kernel_size=[1, 2])
    agree(sequential([6, 5, 3], conv, layer(kind, **chosen), after), images([6, 5, 3]))


def test_group_normalization_of_images_whose_size_is_open(agree):
    made = layer("GroupNormalization", groups=3)
    agree(sequential([None, None, 6], made), images([5, 4, 6]))


REFUSED = {
    "rms scaling": (layer("LayerNormalization", rms_scaling=True), "rms_scaling=True"),
    "axes of both signs": (layer("LayerNormalization", axis=[1, -1]), "as a positive number"),
    "the batch": (layer("UnitNormalization", axis=0), "axis 0"),
    "mean square of another axis": (layer("RMSNormalization", axis=1), "the last axis is"),
}


@pytest.mark.filterwarnings("ignore:You passed")
@pytest.mark.parametrize(("made", "words"), REFUSED.values(), ids=REFUSED)
def test_setting_that_would_be_ignored_is_refused(small, made, words):
    with pytest.raises(UserError, match=words):
        small(sequential([3, 4], made))
