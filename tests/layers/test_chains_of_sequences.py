"""Layers of one spatial axis in any order: computed as Keras does, and found in the ONNX file."""

from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import seeds
from test_taps import onnx_taps, wrong  # noqa: F401

LINKS = {
    "conv": ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal"}),
    "strided": ("Conv1D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}),
    "depthwise": ("DepthwiseConv1D", {"kernel_size": 2, "padding": "same"}),
    "separable": ("SeparableConv1D", {"filters": 3, "kernel_size": 2, "padding": "same"}),
    "transposed": ("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}),
    "dense": ("Dense", {"units": 4}),
    "norm": ("BatchNormalization", {}),
    "leaky": ("LeakyReLU", {"negative_slope": 0.3}),
    "maximum": ("MaxPooling1D", {"pool_size": 2, "padding": "same"}),
    "average": ("AveragePooling1D", {"pool_size": 2, "padding": "same"}),
    "pad": ("ZeroPadding1D", {"padding": [0, 2]}),
    "crop": ("Cropping1D", {"cropping": [1, 0]}),
    "larger": ("UpSampling1D", {"size": 2}),
}
ENDS = {"flat": ("Flatten", {}), "mean": ("GlobalAveragePooling1D", {}), "none": None}
SHAPE = [33, 3]
chains = given(
    st.lists(st.sampled_from(sorted(LINKS)), min_size=2, max_size=5),
    seeds,
    st.sampled_from(sorted(ENDS)),
)


def chain(names, end):
    made = [layer(LINKS[n][0], f"{n}_{i}", **LINKS[n][1]) for i, n in enumerate(names)]
    if ENDS[end]:
        made.append(layer(ENDS[end][0], "end", **ENDS[end][1]))
    return sequential(SHAPE, *made)


@settings(max_examples=15)
@chains
def test_chain_of_sequences(agree, names, seed, end):
    agree(chain(names, end), images(SHAPE, seed), seed=seed)


@settings(max_examples=8)
@chains
def test_every_layer_of_a_chain_of_sequences_is_found(small, onnx_taps, names, seed, end):  # noqa: F811
    model = small(chain(names, end), seed)
    assert wrong(model, onnx_taps(model), [images(SHAPE, seed)]) == []
