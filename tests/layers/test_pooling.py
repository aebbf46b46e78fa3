"""Pooling, whatever its settings, computes what Keras computes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import means, seeds, sizes, windows

pools = pytest.mark.parametrize("kind", ["MaxPooling2D", "AveragePooling2D"])
global_pools = pytest.mark.parametrize("kind", ["GlobalMaxPooling2D", "GlobalAveragePooling2D"])


@pools
@settings(max_examples=25, deadline=None)
@given(windows("pool_size", dilated=False), st.integers(1, 3), seeds, means)
def test_pool(agree, kind, window, channels, seed, mean):
    size, chosen = window
    shape = [*size, channels]
    agree(sequential(shape, layer(kind, **chosen)), images(shape, seed, mean=mean))


@pools
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_pool_that_strides_by_its_window(agree, kind, padding):
    made = layer(kind, pool_size=[2, 3], strides=None, padding=padding)
    agree(sequential([5, 7, 2], made), images([5, 7, 2]))


@pools
@settings(max_examples=8, deadline=None)
@given(windows("pool_size", dilated=False), sizes, sizes, seeds)
def test_pool_whose_model_leaves_the_size_open(agree, kind, window, rows, columns, seed):
    size, chosen = window
    made = layer(kind, **chosen)
    agree(sequential([None, None, 2], made), images([size[0] + rows, size[1] + columns, 2], seed))


@global_pools
@settings(max_examples=10, deadline=None)
@given(sizes, sizes, st.integers(1, 3), st.booleans(), st.booleans(), seeds, means)
def test_global_pool(agree, kind, rows, columns, channels, keepdims, open_size, seed, mean):
    stated = [None, None, channels] if open_size else [rows, columns, channels]
    made = layer(kind, keepdims=keepdims)
    agree(sequential(stated, made), images([rows, columns, channels], seed, mean=mean))


@global_pools
@pytest.mark.parametrize("keepdims", [True, False])
def test_dense_after_a_global_pool(agree, kind, keepdims):
    pool = layer(kind, "pool", keepdims=keepdims)
    dense = layer("Dense", "dense", units=3)
    agree(sequential([4, 5, 3], pool, dense), images([4, 5, 3]))
