"""Transposed convolutions, whatever their settings, compute what Keras computes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import seeds
from window_strategies import filters, shaped, transposed

KINDS = {1: "Conv1DTranspose", 2: "Conv2DTranspose"}
ranks = pytest.mark.parametrize("rank", KINDS, ids=KINDS.values())


@ranks
@settings(max_examples=20)
@given(st.data(), st.integers(1, 3), st.booleans(), seeds)
def test_transposed_convolution(agree, rank, data, channels, bias, seed):
    size, chosen = data.draw(transposed(rank))
    count = data.draw(filters(chosen, bias))
    made = layer(KINDS[rank], filters=count, use_bias=bias, **chosen)
    shape = shaped(size, channels, chosen)
    agree(sequential(shape, made), images(shape, seed), seed=seed)
