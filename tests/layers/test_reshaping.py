"""Layers that only move values put each where Keras puts it."""

import pytest
from hypothesis import given, settings
from keras_configs import images, layer, sequential
from layer_strategies import pairs, seeds, sizes

CONV = layer("Conv2D", "conv", filters=3, kernel_size=[1, 2])
RESHAPES = {
    "image to vector": ([2, 3, 4], [24]),
    "image to another image": ([2, 3, 4], [4, 2, 3]),
    "image to sequence": ([2, 3, 4], [-1, 4]),
    "open rows": ([2, 3, 4], [-1, 6, 2]),
    "open columns": ([2, 3, 4], [2, -1, 2]),
    "open channels": ([2, 3, 4], [3, 1, -1]),
    "vector to image": ([24], [3, 4, 2]),
    "sequence to vector": ([6, 4], [-1]),
}
reshapes = pytest.mark.parametrize(("shape", "target"), RESHAPES.values(), ids=RESHAPES)


@reshapes
def test_reshape(agree, shape, target):
    agree(sequential(shape, layer("Reshape", target_shape=target)), images(shape))


@pytest.mark.parametrize("target", [[-1], [3, 4, 6], [-1, 6]])
def test_reshape_after_a_convolution(agree, target):
    conv = layer("Conv2D", "conv", filters=6, kernel_size=[1, 2])
    made = layer("Reshape", "reshape", target_shape=target)
    agree(sequential([3, 5, 2], conv, made), images([3, 5, 2]))


def test_convolution_after_a_reshape(agree):
    made = layer("Reshape", "reshape", target_shape=[3, 4, 2])
    agree(sequential([24], made, CONV), images([24]))


@pytest.mark.parametrize("shape", [[5], [3, 4], [3, 4, 2]], ids=["vector", "sequence", "image"])
def test_flatten(agree, shape):
    agree(sequential(shape, layer("Flatten")), images(shape))


def test_dense_after_the_flattened_output_of_a_convolution(agree):
    made = [CONV, layer("Flatten", "flat"), layer("Dense", "dense", units=4)]
    agree(sequential([3, 4, 2], *made), images([3, 4, 2]))


@settings(max_examples=15, deadline=None)
@given(pairs(0, 3), pairs(0, 3), sizes, sizes, seeds)
def test_zero_padding(agree, rows, columns, height, width, seed):
    shape = [height, width, 2]
    made = layer("ZeroPadding2D", padding=[rows, columns])
    agree(sequential(shape, made), images(shape, seed))


def test_zero_padding_of_one_number(agree):
    agree(sequential([3, 4, 2], layer("ZeroPadding2D", padding=2)), images([3, 4, 2]))
