"""Convolutions, whatever their settings, compute what Keras computes."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import means, seeds, sizes
from window_strategies import filters, shaped, windows

from conversion.readers.activations import ACTIVATIONS

PADDINGS = {"Conv1D": ("same", "valid", "causal"), "Conv2D": ("same", "valid")}
SPREADING = {"DepthwiseConv1D": 1, "DepthwiseConv2D": 2, "SeparableConv1D": 1, "SeparableConv2D": 2}
convolutions = pytest.mark.parametrize("kind", PADDINGS)
spreading = pytest.mark.parametrize("kind", SPREADING)


activations = st.sampled_from(ACTIVATIONS)


def drawn(data, kind):
    return data.draw(windows(int(kind[-2]), paddings=PADDINGS[kind]))


@convolutions
@settings(max_examples=20)
@given(st.data(), st.integers(1, 3), st.booleans(), seeds, means)
def test_convolution(agree, kind, data, channels, bias, seed, mean):
    size, chosen = drawn(data, kind)
    # TensorFlow 2.21 is off by whole values for one channel, strides (1, 2) and an image narrower
    # than its window, in batches (TF_ENABLE_ONEDNN_OPTS=0 is right): no reference there.
    assume(channels > 1 or [1, *chosen["strides"]][-2] > 1 or chosen["strides"][-1] == 1)
    made = layer(kind, filters=data.draw(filters(chosen, bias)), use_bias=bias, **chosen)
    shape = shaped(size, channels, chosen)
    agree(sequential(shape, made), images(shape, seed, mean=mean), seed=seed)


@convolutions
@settings(max_examples=10)
@given(st.data(), st.integers(2, 3), st.integers(1, 2), seeds)
def test_convolution_in_groups(agree, kind, data, groups, depth, seed):
    size, chosen = drawn(data, kind)
    count = groups * data.draw(filters(chosen, True))
    assume(count == groups * 29 or chosen["data_format"] == "channels_last")
    made = layer(kind, filters=count, groups=groups, **chosen)
    shape = shaped(size, depth * groups, chosen)
    agree(sequential(shape, made), images(shape, seed), seed=seed)


@pytest.mark.one_in(2)
@spreading
@settings(max_examples=15)
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.booleans(), seeds)
def test_convolution_of_each_channel(agree, kind, data, channels, multiplier, bias, seed):
    size, chosen = data.draw(windows(SPREADING[kind], both=True))
    if kind.startswith("Separable"):
        chosen["filters"] = 29  # sums of sums: a single one may cancel, all of them do not
    elif bias and chosen["data_format"] == "channels_first":
        channels = 29  # see `filters`
    made = layer(kind, depth_multiplier=multiplier, use_bias=bias, **chosen)
    shape = shaped(size, channels, chosen)
    agree(sequential(shape, made), images(shape, seed), seed=seed)


@convolutions
@settings(max_examples=8)
@given(st.data(), sizes, seeds)
def test_convolution_whose_model_leaves_the_size_open(agree, kind, data, more, seed):
    size, chosen = drawn(data, kind)
    made = layer(kind, filters=3, use_bias=False, **chosen)
    given_ = images(shaped([each + more for each in size], 2, chosen), seed)
    agree(sequential(shaped([None] * len(size), 2, chosen), made), given_, seed=seed)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("kind", [*PADDINGS, *SPREADING, "Conv1DTranspose", "Conv2DTranspose"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "softmax"])
@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
def test_activation_of_a_convolution(agree, kind, activation, order):
    filters = {} if kind.startswith("Depthwise") else {"filters": 6}
    made = layer(kind, kernel_size=2, activation=activation, data_format=order, **filters)
    shape = [5, 6, 3] if "2D" in kind else [7, 3]
    agree(sequential(shape, made), images(shape))


@settings(max_examples=15)
@given(st.lists(sizes, min_size=1, max_size=3), sizes, st.booleans(), activations, seeds)
def test_dense(agree, shape, units, bias, activation, seed):
    units *= 1 + (activation == "glu")  # it halves them
    made = layer("Dense", units=units, use_bias=bias, activation=activation)
    # e^x is off by a share of what x is off by in all: of sums to 18, two roundings are 2.1e-6.
    limit = {"limit": 4e-6} if activation == "exponential" else {}
    agree(sequential(shape, made), images(shape, seed), seed=seed, **limit)
