"""Inputs made for a model without data: in the range that its file suggests, and not all alike."""

from dataclasses import replace

import numpy as np
import pytest

from conversion.core.errors import UserError
from conversion.core.spec import Layer, Spec
from conversion.subjects import SYNTHETIC, find
from conversion.subjects.dataset import Dataset
from conversion.subjects.exercising import unused
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.synthetic_inputs import (
    suggested_range,
    suggested_width,
    synthetic_inputs,
    synthetic_training,
)


def layer(name, kind, *reads, shape=(8, 8, 3), config=None, **weights):
    arrays = {role: np.asarray(value, np.float32) for role, value in weights.items()}
    return Layer(name, kind, config or {}, reads, arrays, shape)


def spec(*behind, shape=(8, 8, 3)):
    layers = (layer("image", "InputLayer", shape=shape), *behind)
    return Spec("made", layers, ("image",), (layers[-1].name,), "0" * 64, "3")


@pytest.mark.parametrize(
    ("scale", "offset", "low", "high"),
    [(1 / 255, 0, 0, 255), (1 / 127.5, -1, 0, 255), (1.0, 0.0, 0, 1), (2.0, -1.0, 0, 1)],
    ids=["to 0..1", "to -1..1", "unchanged", "0..1 to -1..1"],
)
def test_a_rescaling_says_what_it_expects(scale, offset, low, high):
    config = {"scale": scale, "offset": offset}
    found = suggested_range(spec(layer("r", "Rescaling", "image", config=config)), "image")
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert "r brings it" in found.reason


@pytest.mark.parametrize(
    ("kind", "mean", "variance"),
    [
        ("Normalization", "mean", "variance"),
        ("BatchNormalization", "moving_mean", "moving_variance"),
    ],
)
def test_statistics_of_the_input_say_where_it_lies(kind, mean, variance):
    norm = layer("n", kind, "image", **{mean: [10, 20, 30], variance: [4, 9, 16]})
    found = suggested_range(spec(norm), "image")
    assert found.low == pytest.approx(np.array([6, 14, 22]))
    assert found.high == pytest.approx(np.array([14, 26, 38]))


@pytest.mark.parametrize("high", [255.0, 1.0])
def test_the_norm_behind_a_convolution_says_which_pixels_it_saw(high):
    kernel = np.eye(3).reshape(1, 1, 3, 3)
    settings = {"kernel_size": [1, 1], "strides": [1, 1], "padding": "valid", "filters": 3}
    variance = np.full(3, (high / 5) ** 2)
    conv = layer("c", "Conv2D", "image", config=settings, kernel=kernel)
    norm = layer("n", "BatchNormalization", "c", moving_mean=np.zeros(3), moving_variance=variance)
    assert suggested_range(spec(conv, norm), "image").high == high


def test_padding_is_looked_through():
    config = {"scale": 1 / 255, "offset": 0.0}
    padded = layer("p", "ZeroPadding2D", "image")
    found = spec(padded, layer("r", "Rescaling", "p", config=config))
    assert suggested_range(found, "image").high == pytest.approx(255)


@pytest.mark.parametrize(
    ("shape", "high"), [((8, 8, 3), 255.0), ((10,), 2.0), ((16, 4), 2.0)], ids=str
)
def test_without_a_hint_images_are_raw_pixels_and_the_rest_is_around_zero(shape, high):
    assert suggested_range(spec(layer("d", "Dense", "image"), shape=shape), "image").high == high


@pytest.mark.parametrize("shape", [(8, 8, 3), (33, 5, 1), (20, 4), (10,)], ids=str)
def test_every_input_is_another_and_all_lie_in_the_range(shape):
    model = spec(layer("d", "Dense", "image"), shape=shape)
    made = synthetic_inputs(model, 50)["image"]
    within = suggested_range(model, "image")
    assert made.shape == (50, *shape)
    assert made.dtype == np.float32
    assert made.min() >= within.low
    assert made.max() <= within.high
    assert len({each.tobytes() for each in made}) == 50
    assert made.std(axis=0).min() > 0


def test_pixels_are_whole_numbers_and_images_differ_in_light_and_contrast():
    made = synthetic_inputs(spec(layer("d", "Dense", "image")), 50)["image"]
    assert (made == np.rint(made)).all()
    assert np.ptp(made.mean(axis=(1, 2, 3))) > 50
    assert np.ptp(made.std(axis=(1, 2, 3))) > 20


def test_the_same_inputs_are_made_every_time():
    model = spec(layer("d", "Dense", "image"))
    one, other = (synthetic_inputs(model, 5)["image"] for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_beside_real_images_the_made_ones_keep_their_range():
    real = np.random.RandomState(1).uniform([-1, 0, 2], [1, 0.5, 3], (5, 8, 8, 3))
    config = {"scale": 1 / 255, "offset": 0.0}
    found = spec(layer("r", "Rescaling", "image", config=config))
    made = synthetic_inputs(found, 20, {"image": real})["image"]
    assert made.shape == (20, 8, 8, 3)
    low, high = real.min(axis=(0, 1, 2)), real.max(axis=(0, 1, 2))
    assert (made >= low - 1e-6).all()
    assert (made <= high + 1e-6).all()
    assert (np.ptp(made, axis=(0, 1, 2)) > 0.8 * (high - low)).all()


def test_two_inputs_of_one_shape_are_not_alike():
    inputs = [layer(name, "InputLayer", shape=(8, 8, 3)) for name in ("left", "right")]
    both = Spec(
        "two",
        (*inputs, layer("sum", "Add", "left", "right")),
        ("left", "right"),
        ("sum",),
        "0" * 64,
        "3",
    )
    made = synthetic_inputs(both, 20)
    assert (made["left"] != made["right"]).any()


@pytest.mark.slow
def test_drawn_images_calibrate_and_others_are_judged_on():
    found = find("embedded", SYNTHETIC)
    assert found.test is None  # so that no accuracy is claimed
    assert found.described["train"]["source"] == "synthetic images of seed 2147483648"
    calibrating = found.train.image_digests()
    judged = synthetic_inputs(found.spec, 200)["input_1"]
    assert len(set(calibrating)) == 100
    assert not set(calibrating) & set(Dataset(judged, None).image_digests())
    assert find("embedded", SYNTHETIC).train.digest == found.train.digest


def test_drawn_images_are_in_the_range_already():
    with pytest.raises(UserError, match="Expected --data beside --preprocess"):
        find("embedded", SYNTHETIC, Preprocessing(scale=1 / 255))


def test_a_model_of_two_inputs_has_nothing_to_calibrate_on():
    two = replace(spec(), inputs=("image", "other"))
    assert find("two.keras", SYNTHETIC, read=lambda path, custom: two).train is None


def capped(gain, *behind):
    """A norm of no effect whose ReLU6 gets what pixels of 0 to 1 become times a gain."""
    ones, zeros = np.ones(3), np.zeros(3)
    arrays = {"gamma": gain * ones, "beta": -gain / 2 * ones}
    arrays |= {"moving_mean": zeros, "moving_variance": ones}
    settings = {"epsilon": 0.0, "axis": -1}
    return spec(
        layer("scale", "Rescaling", "image", config={"scale": 1 / 255, "offset": 0.0}),
        layer("norm", "BatchNormalization", "scale", config=settings, **arrays),
        layer("relu6", "ReLU", "norm", config={"max_value": 6.0, "negative_slope": 0.0}),
        *behind,
    )


@pytest.mark.parametrize(("gain", "width"), [(20.0, 1), (5.0, 4), (1.0, 16), (0.01, 1)])
def test_a_ceiling_that_is_not_reached_is_tried_with_wider_inputs(gain, width):
    """Pixels lie 0.5 x gain about 0; a ceiling that none of the widths reaches changes nothing."""
    assert suggested_width(capped(gain)) == width


def test_every_other_input_is_wider_and_the_rest_are_as_they_were():
    plain, wide = (synthetic_inputs(capped(5.0), 6, width=by)["image"] for by in (1.0, 4.0))
    assert np.array_equal(plain[::2], wide[::2])
    # Pixels are rounded to whole numbers after they were spread: by up to half a step of 4.
    assert wide[1::2] == pytest.approx((plain[1::2] - 127.5) * 4 + 127.5, abs=2.5)


def test_what_no_value_comes_to_is_counted_part_by_part():
    """Below 0, above 0, and at the ceiling."""
    made = capped(5.0)
    dark, light = ({"image": np.full((1, 8, 8, 3), by, np.float32)} for by in (0.0, 2550.0))
    assert unused(made, dark) == 3  # the norm does not vary either
    assert unused(made, light) == 2


def test_calibration_images_are_as_wide_as_those_that_are_judged_on():
    made = capped(5.0)
    drawn = synthetic_training(made).images
    assert drawn[::2].min() >= 0
    assert drawn[1::2].min() < 0
    assert drawn.max() > 255
