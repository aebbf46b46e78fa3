"""Layers that Keras keeps beside its applications: ConvNeXt's and Inception-ResNet's."""

import pytest
from keras_configs import functional, images, layer

MODULES = {
    "LayerScale": "keras.src.applications.convnext",
    "StochasticDepth": "keras.src.applications.convnext",
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
}


def own(kind, **settings):
    return {**layer(kind, **settings), "module": MODULES[kind], "registered_name": kind}


@pytest.mark.parametrize("shape", [[3], [5, 3], [4, 5, 3]], ids=["vector", "sequence", "image"])
def test_layer_scale(agree, shape):
    made = own("LayerScale", init_values=0.5, projection_dim=3)
    config = functional({"input": shape}, [(made, ["input"])], ["it"])
    agree(config, images(shape), ending=".keras")


def test_stochastic_depth(agree):
    made = own("StochasticDepth", drop_path_rate=0.5)
    config = functional({"input": [4, 5, 3]}, [(made, ["input"])], ["it"])
    agree(config, images([4, 5, 3]), ending=".keras")


@pytest.mark.parametrize("scale", [0.17, 1.0, -2.0])
def test_scaled_sum(agree, scale):
    made = own("CustomScaleLayer", scale=scale)
    shape = [4, 5, 3]
    config = functional({"a": shape, "b": shape}, [(made, ["a", "b"])], ["it"])
    agree(config, images(shape, 1), images(shape, 2), ending=".keras")
