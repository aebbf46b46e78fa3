"""Layers in any order: each takes its input in the layout in which the one before left it."""

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


@settings(max_examples=25, deadline=None)
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
