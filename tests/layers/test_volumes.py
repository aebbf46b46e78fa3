"""Layers along three spatial axes, whatever their settings, compute what Keras computes."""

import pytest
from keras_configs import images, layer, sequential

SIZES = (5, 4, 6)
ORDERS = ("channels_last", "channels_first")

CASES = {
    "convolution": ("Conv3D", {"filters": 3, "kernel_size": [2, 3, 1], "activation": "relu"}),
    "convolution-same": (
        "Conv3D",
        {"filters": 3, "kernel_size": [3, 2, 4], "strides": [2, 1, 3], "padding": "same"},
    ),
    "convolution-dilated": (
        "Conv3D",
        {"filters": 2, "kernel_size": 2, "dilation_rate": [2, 1, 3], "use_bias": False},
    ),
    "transposed": ("Conv3DTranspose", {"filters": 3, "kernel_size": [2, 3, 4], "strides": 2}),
    "transposed-same": (
        "Conv3DTranspose",
        {"filters": 3, "kernel_size": 3, "strides": [2, 1, 2], "padding": "same"},
    ),
    "max": ("MaxPooling3D", {"pool_size": [2, 1, 3], "padding": "same"}),
    "max-strides": ("MaxPooling3D", {"pool_size": 2, "strides": [1, 2, 3]}),
    "average": ("AveragePooling3D", {"pool_size": [2, 3, 2], "strides": 1}),
    "average-same": ("AveragePooling3D", {"pool_size": [2, 3, 4], "padding": "same"}),
    "global-max": ("GlobalMaxPooling3D", {}),
    "global-average": ("GlobalAveragePooling3D", {"keepdims": True}),
    "adaptive-max": ("AdaptiveMaxPooling3D", {"output_size": [2, 3, 4]}),
    "adaptive-average": ("AdaptiveAveragePooling3D", {"output_size": [2, 3, 4]}),
    "zero-padding": ("ZeroPadding3D", {"padding": [[0, 1], [2, 0], [1, 1]]}),
    "cropping": ("Cropping3D", {"cropping": [[0, 1], [2, 0], [1, 1]]}),
    "up-sampling": ("UpSampling3D", {"size": [2, 1, 3]}),
    "dropout": ("SpatialDropout3D", {"rate": 0.4}),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("setting", CASES)
def test_layer_of_a_volume(agree, setting, order):
    kind, chosen = CASES[setting]
    settings = {"padding": "valid"} if "kernel_size" in chosen or "pool_size" in chosen else {}
    shape = (*SIZES, 2) if order == "channels_last" else (2, *SIZES)
    made = layer(kind, **{**settings, **chosen}, data_format=order)
    agree(sequential(shape, made), images(shape, mean=0.5))


def test_a_volume_of_open_sizes(agree):
    made = layer("Conv3D", filters=3, kernel_size=3, padding="same", strides=2)
    agree(sequential((None, None, None, 2), made), images((*SIZES, 2)))
