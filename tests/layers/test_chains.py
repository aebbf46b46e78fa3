"""Layers in any order: each takes its input in the layout in which the one before left it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import seeds

LINKS = {
    "conv": ("Conv2D", {"filters": 3, "kernel_size": [3, 2], "padding": "same"}),
    "strided": ("Conv2D", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}),
    "depthwise": ("DepthwiseConv2D", {"kernel_size": [2, 3], "padding": "same"}),
    "dense": ("Dense", {"units": 4}),
    "norm": ("BatchNormalization", {}),
    "rescaling": ("Rescaling", {"scale": 0.5, "offset": 1.0}),
    "leaky": ("LeakyReLU", {"negative_slope": 0.3}),
    "maximum": ("MaxPooling2D", {"pool_size": [2, 1], "padding": "same"}),
    "average": ("AveragePooling2D", {"pool_size": [1, 2], "padding": "same"}),
    "pad": ("ZeroPadding2D", {"padding": [[0, 1], [2, 0]]}),
    "dropout": ("Dropout", {"rate": 0.5}),
}
END = {"flat": ("Flatten", {}), "mean": ("GlobalAveragePooling2D", {}), "none": None}


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(sorted(LINKS)), min_size=2, max_size=6),
    seeds,
    st.sampled_from(sorted(END)),
)
def test_chain(agree, names, seed, end):
    made = [layer(LINKS[n][0], f"{n}_{i}", **LINKS[n][1]) for i, n in enumerate(names)]
    if END[end]:
        made.append(layer(END[end][0], "end", **END[end][1]))
    agree(sequential([6, 5, 3], *made), images([6, 5, 3], seed), seed=seed)


CHANNELS = [0.5, -2.0, 3.0, 1.5]
LAST_AXIS = {
    "softmax": layer("Softmax"),
    "softmax activation": layer("Activation", activation="softmax"),
    "rescaling by channel": layer("Rescaling", scale=CHANNELS, offset=CHANNELS),
    "batch normalization": layer("BatchNormalization"),
    "dense": layer("Dense", units=3),
    "dense softmax": layer("Dense", units=3, activation="softmax"),
}


@pytest.mark.parametrize("made", LAST_AXIS.values(), ids=LAST_AXIS)
def test_layer_of_the_last_axis_after_a_convolution(agree, made):
    conv = layer("Conv2D", "conv", filters=4, kernel_size=[2, 3])
    after = layer("Conv2D", "after", filters=2, kernel_size=[1, 2])
    agree(sequential([6, 5, 3], conv, made, after), images([6, 5, 3]))
