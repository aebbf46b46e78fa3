"""Layers that leave the shape alone, whatever their settings, compute what Keras computes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import functional, images, layer, sequential
from layer_strategies import seeds

from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.proof import truth
from conversion.readers.functional import read_layers

SHAPES = [[7], [4, 5], [3, 4, 5]]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=["vector", "sequence", "image"])
any_shape = st.sampled_from(SHAPES)
slopes = st.sampled_from((0.0, 0.01, 0.3, 1.5))


@settings(max_examples=40)
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


@settings(max_examples=20)
@given(any_shape, st.data(), seeds)
def test_softmax(agree, shape, data, seed):
    axes = st.integers(1, len(shape)) | st.integers(-len(shape), -1)
    several = st.lists(st.integers(1, len(shape)), min_size=1, unique=True)
    made = layer("Softmax", axis=data.draw(axes | several))
    agree(sequential(shape, made), images(shape, seed), ending=".keras")


@shapes
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 2.5])
def test_elu(agree, shape, alpha):
    agree(sequential(shape, layer("ELU", alpha=alpha)), images(shape, count=20, mean=0.0))


@settings(max_examples=15)
@given(any_shape, st.data(), seeds)
def test_prelu(agree, shape, data, seed):
    shared = data.draw(st.none() | st.lists(st.integers(1, len(shape)), unique=True))
    made = layer("PReLU", shared_axes=shared)
    agree(sequential(shape, made), images(shape, seed, mean=0.0), seed=seed)


def test_prelu_of_a_convolution_whose_size_is_open(agree):
    conv = layer("Conv2D", "conv", filters=4, kernel_size=[2, 3])
    made = layer("PReLU", shared_axes=[1, 2])
    agree(sequential([None, None, 3], conv, made), images([6, 5, 3], mean=0.0))


SCALARS = st.sampled_from((1 / 255, 1 / 127.5, -2.5, 1))
LISTS = st.lists(st.sampled_from((0.017, -2.0, 3.5, 1)), min_size=5, max_size=5)


@settings(max_examples=15)
@given(any_shape.filter(lambda s: s[-1] == 5), SCALARS | LISTS, SCALARS | LISTS, seeds)
def test_rescaling(agree, shape, scale, offset, seed):
    made = layer("Rescaling", scale=scale, offset=offset)
    agree(sequential(shape, made), images(shape, seed))


def test_rescaling_by_arrays(agree):
    array = {"class_name": "__numpy__", "config": {"value": [0.5, 2.0, 4.0], "dtype": "float64"}}
    made = layer("Rescaling", scale=array, offset=array)
    agree(sequential([4, 5, 3], made), images([4, 5, 3]))


IDLE = {
    "dropout": ("Dropout", {"rate": 0.5}),
    "alpha dropout": ("AlphaDropout", {"rate": 0.5}),
    "gaussian dropout": ("GaussianDropout", {"rate": 0.5}),
    "gaussian noise": ("GaussianNoise", {"stddev": 0.5}),
    "activity regularization": ("ActivityRegularization", {"l1": 0.5, "l2": 0.5}),
    "identity": ("Identity", {}),
}


@shapes
@pytest.mark.parametrize(("kind", "chosen"), IDLE.values(), ids=IDLE)
def test_layer_of_the_training_alone(agree, shape, kind, chosen):
    agree(sequential(shape, layer(kind, **chosen)), images(shape))


IDLE_ON_IMAGES = {
    "dropped channels": ("SpatialDropout2D", {"rate": 0.5}),
    "flip": ("RandomFlip", {"mode": "horizontal"}),
    "rotation": ("RandomRotation", {"factor": 0.2}),
    "zoom": ("RandomZoom", {"height_factor": 0.3}),
    "contrast": ("RandomContrast", {"factor": 0.3}),
    "brightness": ("RandomBrightness", {"factor": 0.3}),
    "translation": ("RandomTranslation", {"height_factor": 0.3, "width_factor": 0.2}),
    "shear": ("RandomShear", {"x_factor": 0.3}),
    "perspective": ("RandomPerspective", {}),
    "elastic": ("RandomElasticTransform", {}),
    "erasing": ("RandomErasing", {}),
    "hue": ("RandomHue", {"factor": 0.4}),
    "saturation": ("RandomSaturation", {"factor": 0.4}),
    "degeneration": ("RandomColorDegeneration", {"factor": 0.5}),
    "jitter": ("RandomColorJitter", {"brightness_factor": 0.3}),
    "grayscale": ("RandomGrayscale", {}),
    "invert": ("RandomInvert", {}),
    "posterization": ("RandomPosterization", {"factor": 4}),
    "sharpness": ("RandomSharpness", {"factor": 0.4}),
    "blur": ("RandomGaussianBlur", {}),
    "some of them": ("RandAugment", {}),
    "mixed chains": ("AugMix", {}),
    "cut into each other": ("CutMix", {}),
    "mixed with each other": ("MixUp", {}),
    "solarization": ("Solarization", {}),
    "boxes": ("MaxNumBoundingBoxes", {"max_number": 3}),
    "crop of nothing": ("RandomCrop", {"height": 6, "width": 5}),
}


@pytest.mark.one_in(4)
@pytest.mark.parametrize(("kind", "chosen"), IDLE_ON_IMAGES.values(), ids=IDLE_ON_IMAGES)
def test_augmentation_changes_no_image_at_inference(agree, kind, chosen):
    inputs = images([6, 5, 3], spread=200.0)
    # Keras 3.15 cannot open a .h5 file with RandomBrightness again.
    agree(sequential([6, 5, 3], layer(kind, **chosen)), inputs, ending=".keras")


@pytest.mark.parametrize("kind", ["RandomFlip", "Resizing"])
def test_augmentation_in_a_functional_model(agree, kind):
    # Keras writes training=True into its call, and calls it with training=False all the same.
    chosen = {"height": 4, "width": 3} if kind == "Resizing" else {}
    config = functional({"x": [6, 5, 3]}, [(layer(kind, **chosen), ["x"])], ["it"])
    agree(config, images([6, 5, 3]))


def test_a_random_crop_whose_stated_shape_is_not_what_keras_gives_is_refused():
    config = sequential([8, 9, 3], layer("RandomCrop", height=6, width=5))
    with pytest.raises(UserError, match="leaves the images at"):
        read_layers(config, lambda *_: {}, Custom())


def test_dropped_channels_of_a_sequence(agree):
    agree(sequential([6, 3], layer("SpatialDropout1D", rate=0.5)), images([6, 3]))
