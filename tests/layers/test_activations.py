"""Every activation by name, and every layer in place of a name, computes what Keras computes."""

import numpy as np
import pytest
from keras_configs import images, layer, sequential

from conversion.core.errors import UserError
from conversion.readers.activations import ACTIVATION_LAYERS, ACTIVATIONS, activated
from conversion.readers.supported_settings import check_settings

SHAPES = {"vector": [8], "sequence": [4, 6], "image": [3, 4, 6]}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
names = pytest.mark.parametrize("name", ACTIVATIONS)

SETTINGS = {
    "ReLU": {"max_value": 3.5, "negative_slope": 0.2, "threshold": 0.5},
    "LeakyReLU": {"negative_slope": 0.1},
    "ELU": {"alpha": 0.4},
    "Softmax": {"axis": -1},
}


@pytest.mark.one_in(3)
@shapes
@names
def test_activation(agree, shape, name):
    config = sequential(shape, layer("Activation", activation=name))
    agree(config, images(shape, count=20, mean=0.0))


@pytest.mark.one_in(3)
@names
def test_activation_of_a_dense_layer(agree, name):
    agree(sequential([5], layer("Dense", units=6, activation=name)), images([5], count=20))


@pytest.mark.one_in(3)
@names
def test_activation_between_convolutions(agree, name):
    conv = layer("Conv2D", "conv", filters=4, kernel_size=[2, 3], activation=name)
    # Behind glu Keras expects as many channels as before it, and cannot run.
    last = layer("Flatten", "end") if name == "glu" else layer("Conv2D", filters=2, kernel_size=2)
    agree(sequential([5, 6, 3], conv, last), images([5, 6, 3]))


@pytest.mark.parametrize("name", sorted({*ACTIVATIONS} - {"exponential", "sparsemax"}))
def test_activation_of_values_far_from_zero(agree, name):
    # softplus, mish, gelu and their kin have their own arithmetic for large values.
    values = np.array([[-1e4, -90.0, -21.0, -20.0], [20.0, 21.0, 90.0, 1e4]], np.float32)
    agree(sequential([4], layer("Activation", activation=name)), values)


@pytest.mark.parametrize("name", ["hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid"])
def test_activation_at_its_own_bends(agree, name):
    values = np.array([[-1.0, -0.5, 0.0, 0.5, 1.0], [-3.0, -2.0, 2.0, 3.0, 6.0]], np.float32)
    agree(sequential([5], layer("Activation", activation=name)), values)


@pytest.mark.parametrize("kind", ACTIVATION_LAYERS)
@pytest.mark.parametrize("owner", ["Dense", "Activation", "Conv2D"])
def test_layer_in_place_of_a_name(agree, kind, owner):
    inner = layer(kind, "inner", **SETTINGS[kind])
    chosen = {"Dense": {"units": 4}, "Conv2D": {"filters": 4, "kernel_size": 2}}.get(owner, {})
    made = layer(owner, activation=inner, **chosen)
    agree(sequential([4, 5, 3], made), images([4, 5, 3]))


def test_settings_of_a_layer_in_place_of_a_name_are_checked():
    inner = layer("LeakyReLU", "inner", negative_slope="0.1")
    with pytest.raises(UserError, match=r"it/LeakyReLU.*no number"):
        check_settings("Dense", "it", {"units": 3, "activation": inner})


def test_layer_with_weights_in_place_of_a_name_is_refused(small):
    inner = layer("PReLU", "inner")
    with pytest.raises(UserError, match=r"Layer 'it' \(Dense\) has activation=.*PReLU"):
        small(sequential([4], layer("Dense", units=3, activation=inner)))


def test_glu_of_an_odd_number_of_values_is_refused():
    with pytest.raises(UserError, match="glu halves the last axis, which has 5 values"):
        activated("glu", (4, 5))
