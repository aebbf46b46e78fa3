"""Windows in the files: ONNX computes what Keras does, and every layer and weight is found."""

import numpy as np
import pytest
from keras_configs import images, layer, sequential
from test_taps import LIMIT, onnx_taps, wrong  # noqa: F401

from conversion.proof.metrics.compare import compare
from conversion.proof.taps.opened import align
from conversion.proof.taps.weights_by_content import locate

IMAGE, SEQUENCE = [7, 8, 4], [11, 4]
FIRST = {"data_format": "channels_first"}
CONV = {"filters": 6, "kernel_size": 3}
EACH = {"kernel_size": 3, "depth_multiplier": 2}


def case(name, kind, **chosen):
    return pytest.param(kind, chosen, id=f"{kind}-{name}")


SAME = {"padding": "same"}
SETTINGS = [
    case("plain", "Conv1D", **CONV),
    case("causal", "Conv1D", **CONV, padding="causal", dilation_rate=2),
    case("strided", "Conv1D", **CONV, **SAME, strides=2),
    case("dilated", "Conv1D", **CONV, **SAME, dilation_rate=2),
    case("first", "Conv1D", **CONV, **SAME, **FIRST),
    case("dilated", "Conv2D", **CONV, **SAME, dilation_rate=[2, 1]),
    case("first", "Conv2D", **CONV, **SAME, **FIRST, strides=2),
    case("plain", "DepthwiseConv1D", **EACH),
    case("strided", "DepthwiseConv1D", **EACH, **SAME, strides=2),
    case("both", "DepthwiseConv1D", **EACH, **SAME, strides=2, dilation_rate=2),
    case("both", "DepthwiseConv2D", **EACH, strides=2, dilation_rate=2),
    case("first", "DepthwiseConv2D", **EACH, **FIRST),
    case("plain", "SeparableConv1D", **CONV, depth_multiplier=2),
    case("strided", "SeparableConv1D", **CONV, **SAME, strides=2),
    case("plain", "SeparableConv2D", **CONV, depth_multiplier=2),
    case("no bias", "SeparableConv2D", **CONV, **SAME, use_bias=False),
    case("first", "SeparableConv2D", **CONV, **SAME, **FIRST),
    case("plain", "Conv1DTranspose", **CONV),
    case("strided", "Conv1DTranspose", **CONV, **SAME, strides=2),
    case("padded", "Conv1DTranspose", **CONV, strides=3, output_padding=1),
    case("dilated", "Conv1DTranspose", **CONV, dilation_rate=2),
    case("plain", "Conv2DTranspose", **CONV),
    case("strided", "Conv2DTranspose", **CONV, **SAME, strides=2),
    case("no bias", "Conv2DTranspose", **CONV, strides=2, use_bias=False),
    case("padded", "Conv2DTranspose", **CONV, **SAME, strides=3, output_padding=[0, 1]),
    case("dilated", "Conv2DTranspose", **CONV, dilation_rate=[1, 2]),
    case("first", "Conv2DTranspose", **CONV, **FIRST, strides=2),
    case("plain", "MaxPooling1D", pool_size=2),
    case("same", "MaxPooling1D", pool_size=3, strides=2, **SAME),
    case("first", "MaxPooling2D", pool_size=2, **FIRST),
    case("plain", "AveragePooling1D", pool_size=2),
    case("same", "AveragePooling1D", pool_size=3, strides=2, **SAME),
    case("first", "AveragePooling2D", pool_size=2, **FIRST),
    case("plain", "GlobalMaxPooling1D"),
    case("kept", "GlobalMaxPooling1D", keepdims=True),
    case("first", "GlobalMaxPooling2D", **FIRST),
    case("plain", "GlobalAveragePooling1D"),
    case("kept", "GlobalAveragePooling1D", keepdims=True),
    case("first", "GlobalAveragePooling2D", **FIRST),
    case("plain", "ZeroPadding1D", padding=[1, 2]),
    case("first", "ZeroPadding2D", padding=[[1, 2], [0, 1]], **FIRST),
    case("plain", "Cropping1D", cropping=[1, 2]),
    case("plain", "Cropping2D", cropping=[[1, 2], [0, 1]]),
    case("first", "Cropping2D", cropping=1, **FIRST),
    case("plain", "UpSampling1D", size=3),
    case("nearest", "UpSampling2D", size=[2, 3]),
    case("bilinear", "UpSampling2D", size=[2, 3], interpolation="bilinear"),
    case("first", "UpSampling2D", size=2, **FIRST),
]
TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose")
settings_of_windows = pytest.mark.parametrize(("kind", "chosen"), SETTINGS)


def model_around(kind, chosen):
    """The layer between two others, so that its input and its output are inner tensors."""
    order = {key: value for key, value in chosen.items() if key == "data_format"}
    rank = kind[-2] if kind.endswith("D") else kind[4]
    shape = SEQUENCE if rank == "1" else IMAGE
    between = [
        layer(f"Conv{rank}D", "before", filters=4, kernel_size=1, **order),
        layer(kind, **chosen),
        layer("LeakyReLU", "after", negative_slope=0.3),
    ]
    shape = shape[-1:] + shape[:-1] if order else shape
    return sequential(shape, *between), images(shape)


@pytest.mark.one_in(4)
@settings_of_windows
def test_onnx_file_computes_what_keras_does(small, onnx_taps, kind, chosen):  # noqa: F811
    config, inputs = model_around(kind, chosen)
    model = small(config)
    exposed = onnx_taps(model)
    named, ends = {model.spec.inputs[0]: inputs}, exposed.network.outputs
    found = dict(zip(model.spec.outputs, exposed.run(named, ends).values(), strict=True))
    (apart,) = compare(model.keras.outputs(named), found, dtype=np.float32)
    assert apart.rms <= LIMIT * apart.level
    assert wrong(model, exposed, [inputs]) == []
    everything_is_held(model.spec, exposed, named)


@settings_of_windows
def test_layers_of_the_module_are_found(small, kind, chosen):
    from conversion.backends.torch_module import from_spec
    from conversion.proof.taps.opened import open_module

    config, inputs = model_around(kind, chosen)
    model = small(config)
    body = from_spec(model.spec)
    exposed = open_module(body, model.spec, 1, {model.spec.inputs[0]: inputs[:1]})
    assert wrong(model, exposed, [inputs]) == []


def everything_is_held(spec, exposed, inputs):
    found = locate(spec, exposed.network, align(spec, exposed, inputs).matches)
    assert (found.missing, [h.what for h in found.placed]) == ([], [])
    assert [h.what for h in found.held if h.differing().any()] == []
    covered = {id(array) for held in found.held for array in held.covers}
    assert covered >= {id(array) for each in spec.layers for array in each.weights.values()}


def test_padding_between_two_normalizations_is_found(small, onnx_taps):  # noqa: F811
    norms = [layer("BatchNormalization", name) for name in ("before", "after")]
    model = small(sequential(IMAGE, norms[0], layer("ZeroPadding2D", padding=1), norms[1]))
    assert wrong(model, onnx_taps(model), [images(IMAGE)]) == []


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("kind", ["Conv1D", "SeparableConv1D", "SeparableConv2D", *TRANSPOSED])
def test_normalization_that_follows_is_accounted_for(small, onnx_taps, kind, bias):  # noqa: F811
    made = [layer(kind, use_bias=bias, **CONV), layer("BatchNormalization", "after")]
    shape = SEQUENCE if "1D" in kind else IMAGE
    model = small(sequential(shape, *made))
    everything_is_held(model.spec, onnx_taps(model), {model.spec.inputs[0]: images(shape)})
