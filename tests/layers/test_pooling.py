"""Pooling, whatever its settings, computes what Keras computes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import means, seeds, sizes
from window_strategies import formats, shaped, windows

POOLS = {"MaxPooling1D": 1, "MaxPooling2D": 2, "AveragePooling1D": 1, "AveragePooling2D": 2}
GLOBAL_POOLS = {
    "GlobalMaxPooling1D": 1,
    "GlobalMaxPooling2D": 2,
    "GlobalAveragePooling1D": 1,
    "GlobalAveragePooling2D": 2,
}
pools = pytest.mark.parametrize("kind", POOLS)
global_pools = pytest.mark.parametrize("kind", GLOBAL_POOLS)


def drawn(data, kind):
    return data.draw(windows(POOLS[kind], "pool_size", dilated=False))


@pools
@settings(max_examples=12)
@given(st.data(), st.integers(1, 3), seeds, means)
def test_pool(agree, kind, data, channels, seed, mean):
    size, chosen = drawn(data, kind)
    shape = shaped(size, channels, chosen)
    agree(sequential(shape, layer(kind, **chosen)), images(shape, seed, mean=mean))


@pools
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_pool_that_strides_by_its_window(agree, kind, padding):
    made = layer(kind, pool_size=[2, 3][-POOLS[kind] :], strides=None, padding=padding)
    shape = [5, 7, 2][-POOLS[kind] - 1 :]
    agree(sequential(shape, made), images(shape))


@pools
@settings(max_examples=5)
@given(st.data(), sizes, seeds)
def test_pool_whose_model_leaves_the_size_open(agree, kind, data, more, seed):
    size, chosen = drawn(data, kind)
    stated = shaped([None] * len(size), 2, chosen)
    given_ = images(shaped([each + more for each in size], 2, chosen), seed)
    agree(sequential(stated, layer(kind, **chosen)), given_)


@global_pools
@settings(max_examples=10)
@given(st.data(), st.integers(1, 3), st.booleans(), st.booleans(), formats, seeds, means)
def test_global_pool(agree, kind, data, channels, keepdims, open_size, order, seed, mean):
    rank, chosen = GLOBAL_POOLS[kind], {"keepdims": keepdims, "data_format": order}
    size = data.draw(st.lists(sizes, min_size=rank, max_size=rank))
    stated = shaped([None] * rank if open_size else size, channels, chosen)
    given_ = images(shaped(size, channels, chosen), seed, mean=mean)
    agree(sequential(stated, layer(kind, **chosen)), given_)


@global_pools
@pytest.mark.parametrize("keepdims", [True, False])
def test_dense_after_a_global_pool(agree, kind, keepdims):
    pool = layer(kind, "pool", keepdims=keepdims)
    dense = layer("Dense", "dense", units=3)
    shape = [4, 5, 3][-GLOBAL_POOLS[kind] - 1 :]
    agree(sequential(shape, pool, dense), images(shape))


ADAPTIVE = {
    "AdaptiveAveragePooling1D": 1,
    "AdaptiveAveragePooling2D": 2,
    "AdaptiveMaxPooling1D": 1,
    "AdaptiveMaxPooling2D": 2,
}
"""Of three axes: test_volumes.py."""


@pytest.mark.parametrize("kind", ADAPTIVE)
@settings(max_examples=12)
@given(st.data(), st.integers(1, 3), formats, seeds, means)
def test_adaptive_pool(agree, kind, data, channels, order, seed, mean):
    rank = ADAPTIVE[kind]
    size = data.draw(st.lists(st.integers(2, 11), min_size=rank, max_size=rank))
    wanted = [data.draw(st.integers(2, each + 1)) for each in size]
    chosen = {"output_size": wanted, "data_format": order}
    shape = shaped(size, channels, chosen)
    agree(sequential(shape, layer(kind, **chosen)), images(shape, seed, mean=mean))


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_adaptive_pool_with_one_number_for_all_axes(agree, kind):
    shape = [7, 5, 2][-ADAPTIVE[kind] - 1 :]
    agree(sequential(shape, layer(kind, output_size=3)), images(shape))
