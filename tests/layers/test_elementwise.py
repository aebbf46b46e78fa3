"""Layers that leave the shape alone, whatever their settings, compute what Keras computes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import seeds

from conversion import truth
from conversion.readers.schema import ACTIVATIONS

SHAPES = [[7], [4, 5], [3, 4, 5]]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=["vector", "sequence", "image"])
any_shape = st.sampled_from(SHAPES)
slopes = st.sampled_from((0.0, 0.01, 0.3, 1.5))


@settings(max_examples=25, deadline=None)
@given(any_shape, st.sampled_from((1e-5, 1e-3, 0.1, 1.5)), st.booleans(), st.booleans(), seeds)
def test_batch_normalization(agree, shape, epsilon, scale, center, seed):
    made = layer("BatchNormalization", epsilon=epsilon, scale=scale, center=center)
    agree(sequential(shape, made), images(shape, seed), seed=seed)


@shapes
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(agree, shape, name):
    agree(sequential(shape, layer("Activation", activation=name)), images(shape, count=20))


@settings(max_examples=40, deadline=None)
@given(
    any_shape,
    st.sampled_from((None, 0.5, 4.0, 6.0)),
    slopes,
    st.sampled_from((0.0, 1.0, 2.5)),
    st.booleans(),
    seeds,
)
def test_relu(agree, shape, ceiling, slope, threshold, whole, seed):
    made = layer("ReLU", max_value=ceiling, negative_slope=slope, threshold=threshold)
    inputs = images(shape, seed, count=20)
    # Whole numbers, as pixels are, meet a threshold exactly.
    agree(sequential(shape, made), np.rint(inputs) if whole else inputs)


@shapes
@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3, 1.5])
def test_leaky_relu(agree, shape, slope):
    made = layer("LeakyReLU", negative_slope=slope)
    agree(sequential(shape, made), images(shape, count=20))


def test_leaky_relu_as_keras_2_writes_it(small, by_torch):
    spec = small(sequential([4], layer("LeakyReLU", negative_slope=0.5))).spec
    old = replace(spec.layers[-1], config={"name": "it", "alpha": 0.25})
    spec = replace(spec, layers=(spec.layers[0], old))
    inputs = np.array([[-8.0, -2.0, 0.0, 4.0]], np.float32)
    wanted = [[-2.0, -0.5, 0.0, 4.0]]
    assert truth.evaluate(spec, {"input": inputs}).layers["it"].tolist() == wanted
    assert by_torch(spec, [inputs])["it"].tolist() == wanted


@shapes
def test_softmax(agree, shape):
    agree(sequential(shape, layer("Softmax")), images(shape))


SCALARS = st.sampled_from((1 / 255, 1 / 127.5, -2.5, 1))
LISTS = st.lists(st.sampled_from((0.017, -2.0, 3.5, 1)), min_size=5, max_size=5)


@settings(max_examples=15, deadline=None)
@given(any_shape.filter(lambda s: s[-1] == 5), SCALARS | LISTS, SCALARS | LISTS, seeds)
def test_rescaling(agree, shape, scale, offset, seed):
    made = layer("Rescaling", scale=scale, offset=offset)
    agree(sequential(shape, made), images(shape, seed))


def test_rescaling_by_arrays(agree):
    array = {"class_name": "__numpy__", "config": {"value": [0.5, 2.0, 4.0], "dtype": "float64"}}
    made = layer("Rescaling", scale=array, offset=array)
    agree(sequential([4, 5, 3], made), images([4, 5, 3]))


@shapes
def test_dropout_at_inference(agree, shape):
    agree(sequential(shape, layer("Dropout", rate=0.5)), images(shape))
