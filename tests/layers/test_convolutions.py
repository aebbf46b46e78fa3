"""Convolutions, whatever their settings, compute what Keras computes."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import means, seeds, sizes, windows

from conversion.readers.schema import ACTIVATIONS

activations = st.sampled_from(ACTIVATIONS)


@settings(max_examples=30, deadline=None)
@given(windows("kernel_size"), st.integers(1, 3), sizes, st.booleans(), seeds, means)
def test_convolution(agree, window, channels, filters, bias, seed, mean):
    size, chosen = window
    # TensorFlow 2.21 is off by whole values for one channel, strides (1, 2) and an image narrower
    # than its window, in batches (TF_ENABLE_ONEDNN_OPTS=0 is right): no reference there.
    assume(channels > 1 or chosen["strides"][0] > 1 or chosen["strides"][1] == 1)
    made = layer("Conv2D", filters=filters, use_bias=bias, **chosen)
    shape = [*size, channels]
    agree(sequential(shape, made), images(shape, seed, mean=mean), seed=seed)


@settings(max_examples=15, deadline=None)
@given(windows("kernel_size"), st.integers(2, 3), st.integers(1, 2), st.integers(1, 3), seeds)
def test_convolution_in_groups(agree, window, groups, depth, filters, seed):
    size, chosen = window
    made = layer("Conv2D", filters=filters * groups, groups=groups, **chosen)
    shape = [*size, depth * groups]
    agree(sequential(shape, made), images(shape, seed), seed=seed)


@settings(max_examples=30, deadline=None)
@given(windows("kernel_size"), st.integers(1, 3), st.integers(1, 3), st.booleans(), seeds)
def test_depthwise_convolution(agree, window, channels, multiplier, bias, seed):
    size, chosen = window
    chosen["strides"] = [chosen["strides"][0]] * 2  # TensorFlow knows no others here
    made = layer("DepthwiseConv2D", depth_multiplier=multiplier, use_bias=bias, **chosen)
    shape = [*size, channels]
    agree(sequential(shape, made), images(shape, seed), seed=seed)


@settings(max_examples=10, deadline=None)
@given(windows("kernel_size"), sizes, sizes, seeds)
def test_convolution_whose_model_leaves_the_size_open(agree, window, rows, columns, seed):
    size, chosen = window
    made = layer("Conv2D", filters=3, **chosen)
    given_ = images([size[0] + rows, size[1] + columns, 2], seed)
    agree(sequential([None, None, 2], made), given_, seed=seed)


@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_of_a_convolution(agree, kind, activation):
    chosen = {"filters": 4} if kind == "Conv2D" else {"depth_multiplier": 2}
    made = layer(kind, kernel_size=[2, 3], activation=activation, **chosen)
    agree(sequential([5, 6, 3], made), images([5, 6, 3]))


@settings(max_examples=15, deadline=None)
@given(st.lists(sizes, min_size=1, max_size=3), sizes, st.booleans(), activations, seeds)
def test_dense(agree, shape, units, bias, activation, seed):
    made = layer("Dense", units=units, use_bias=bias, activation=activation)
    agree(sequential(shape, made), images(shape, seed), seed=seed)
