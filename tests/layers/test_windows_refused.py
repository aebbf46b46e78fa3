"""Settings of windows that Keras itself refuses, or gets wrong, are refused in one sentence."""

import pytest
from keras_configs import layer, sequential

from conversion.core.errors import UserError
from conversion.readers.schema import LAYERS
from conversion.readers.supported_settings import check_settings

CONV = {"filters": 4, "kernel_size": 3, "padding": "valid"}
POOL = {"pool_size": 2, "padding": "valid"}
EACH = {**CONV, "depth_multiplier": 1}
FIRST = {**CONV, "data_format": "channels_first"}
REFUSED = {
    "strides and dilation": ("Conv2D", {**CONV, "strides": 2, "dilation_rate": 2}, "Keras has no"),
    "strides and dilation of a transposed one": (
        "Conv2DTranspose",
        {**CONV, "strides": [1, 2], "dilation_rate": [2, 1]},
        "Keras has no",
    ),
    "unequal strides of a depthwise one": (
        "DepthwiseConv2D",
        {**EACH, "strides": [1, 2]},
        "of equal ones",
    ),
    "unequal strides of a separable one": (
        "SeparableConv2D",
        {**EACH, "strides": [1, 2]},
        "of equal ones",
    ),
    "a window that does not fit": ("MaxPooling2D", {**POOL, "pool_size": 9}, "does not fit"),
    "three strides": ("Conv2D", {**CONV, "strides": [1, 2, 1]}, "has 3 values"),
    "output padding of a whole stride": (
        "Conv2DTranspose",
        {**CONV, "strides": 2, "output_padding": 2},
        "not below its stride",
    ),
    "no output that could have been read": (
        "Conv2DTranspose",
        {**CONV, "kernel_size": 2, "strides": 2, "padding": "same", "output_padding": 0},
        "leave output_padding out",
    ),
    "nothing left": ("Cropping2D", {"cropping": 4}, "leaves nothing"),
    "negative padding": ("ZeroPadding2D", {"padding": [[0, -1], [0, 0]]}, "no number of pixels"),
    "a bias as long as the image is wide": ("Conv2D", FIRST, "leave the bias out"),
    "a transposed bias as long": ("Conv2DTranspose", {**FIRST, "filters": 8}, "leave the bias out"),
    "a depthwise bias as long": (
        "DepthwiseConv2D",
        {**FIRST, "kernel_size": 1, "depth_multiplier": 1},
        "leave the bias out",
    ),
}


@pytest.mark.parametrize(("kind", "chosen", "words"), REFUSED.values(), ids=REFUSED)
def test_settings_are_refused(kind, chosen, words):
    with pytest.raises(UserError, match=words) as caught:
        LAYERS[kind].shape(chosen, [(6, 7, 6)])
    assert "\n" not in str(caught.value)


def test_sequence_where_an_image_is_expected():
    with pytest.raises(UserError, match="2 spatial axes"):
        LAYERS["Conv2D"].shape(CONV, [(7, 6)])


NEVER = {
    "causal images": ("Conv2D", {"padding": "causal"}),
    "causal pools": ("MaxPooling1D", {"padding": "causal"}),
    "groups of a transposed convolution": ("Conv2DTranspose", {"groups": 2}),
    "cubic enlarging": ("UpSampling2D", {"interpolation": "bicubic"}),
}


@pytest.mark.parametrize(("kind", "chosen"), NEVER.values(), ids=NEVER)
def test_value_that_would_be_ignored(kind, chosen):
    with pytest.raises(UserError, match=f"{next(iter(chosen))}=.* is not supported; supported:"):
        check_settings(kind, "it", chosen)


def test_bias_that_keras_adds_along_the_width_is_refused_with_the_name_of_the_layer(small):
    made = layer("Conv2D", filters=4, kernel_size=1, data_format="channels_first")
    with pytest.raises(UserError, match=r"Layer 'it' \(Conv2D\): .* leave the bias out"):
        small(sequential([3, 5, 4], made))
