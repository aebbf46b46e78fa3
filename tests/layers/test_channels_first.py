"""Layers that are channels first in Keras, one after another: computed and found in the file."""

import pytest
from keras_configs import images, layer, sequential
from test_taps import onnx_taps, wrong  # noqa: F401

SHAPE = [4, 9, 13]
ORDER = {"data_format": "channels_first"}
PLAIN = {"use_bias": False}  # Keras adds a bias along the wrong axis where the width is as long
LINKS = {
    "conv": ("Conv2D", {"filters": 5, "kernel_size": [3, 2], **PLAIN, "padding": "same"}),
    "separable": ("SeparableConv2D", {"filters": 6, "kernel_size": 2, "strides": 2, **PLAIN}),
    "transposed": ("Conv2DTranspose", {"filters": 6, "kernel_size": 3, "strides": 2, **PLAIN}),
    "maximum": ("MaxPooling2D", {"pool_size": [1, 2]}),
    "average": ("AveragePooling2D", {"pool_size": [2, 1], "padding": "same"}),
    "pad": ("ZeroPadding2D", {"padding": [[0, 1], [2, 0]]}),
    "crop": ("Cropping2D", {"cropping": [[0, 1], [0, 0]]}),
}


NAMES = [*LINKS, *LINKS]
CHAINS = {"+".join(chain): chain for chain in zip(LINKS, NAMES[1:], NAMES[3:], strict=False)}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_chain_that_is_channels_first(agree, small, onnx_taps, chain):  # noqa: F811
    pairs = enumerate(LINKS[name] for name in chain)
    made = [layer(kind, f"it_{i}", **ORDER, **chosen) for i, (kind, chosen) in pairs]
    config = sequential(SHAPE, *made, layer("LeakyReLU", "leaky", negative_slope=0.3))
    agree(config, images(SHAPE))
    model = small(config)
    assert wrong(model, onnx_taps(model), [images(SHAPE)]) == []
