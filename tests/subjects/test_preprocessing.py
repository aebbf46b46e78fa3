"""What is done to images before a model sees them, and that Keras does the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.core.errors import UserError
from conversion.subjects import find
from conversion.subjects.data import load_data
from conversion.subjects.preprocessing import FAMILIES, Preprocessing

IMAGES = np.random.RandomState(4).randint(0, 256, (70, 6, 5, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def keras(reference):
    """Family to Keras's own float32."""
    images = {"images": IMAGES.astype(np.float32)}
    return reference.call("tools.keras_jobs:preprocessed", {}, images).arrays


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_preprocessed_as_keras_does(keras, family):
    found = Preprocessing(family).apply(IMAGES)
    assert found.dtype == np.float32
    rounding = 2 * np.spacing(np.abs(found).max())  # Keras rounds between its steps
    assert found.shape == keras[family].shape
    assert np.abs(found - keras[family]).max() <= rounding


def test_every_family_of_keras_is_known(keras):
    assert set(FAMILIES) >= set(keras) - {"imagenet_utils"}


def test_families_with_other_formulas_give_other_images():
    found = [Preprocessing(name).apply(IMAGES) for name in ("resnet", "xception", "densenet")]
    assert np.abs(found[0] - found[1]).max() > 100
    assert np.abs(found[1] - found[2]).max() > 0.5


@given(
    scale=st.floats(0.001, 10),
    mean=st.tuples(*[st.floats(-200, 200)] * 3),
    std=st.tuples(*[st.floats(0.01, 100)] * 3),
)
def test_scale_then_mean_then_std_channel_by_channel(scale, mean, std):
    found = Preprocessing(scale=scale, mean=mean, std=std).apply(IMAGES[:2])
    for channel in range(3):
        plain = (float(IMAGES[1, 2, 3, channel]) * scale - mean[channel]) / std[channel]
        assert found[1, 2, 3, channel] == np.float32(plain)


def test_nothing_to_do_gives_the_very_same_images():
    assert Preprocessing().apply(IMAGES) is IMAGES
    assert Preprocessing().words == ""


def test_one_mean_serves_rows_of_numbers_too():
    found = Preprocessing(mean=(2.0,), std=(4.0,)).apply(np.ones((3, 10), np.float32))
    np.testing.assert_array_equal(found, np.full((3, 10), -0.25, np.float32))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"scale": 1 / 255}, {"scale": 1 / 254}),
        ({"mean": (1.0,)}, {"std": (1.0,), "mean": (2.0,)}),
        ({"family": "resnet"}, {"mean": (103.939, 116.779, 123.68)}),
        ({"family": "resnet"}, {"family": "vgg16"}),
        ({"scale": 2.0}, {"scale": 2.0, "resize": True}),
    ],
)
def test_words_tell_every_choice_from_another(one, other):
    assert Preprocessing(**one).words != Preprocessing(**other).words


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"family": "resnet", "scale": 0.5}, ["--preprocess or --scale", "'resnet'"]),
        ({"family": "vgg16", "mean": (1.0,), "std": (1.0,)}, ["--mean, --std"]),
        ({"family": "lenet"}, ["'lenet'", "mobilenet_v2"]),
        ({"scale": 0.0}, ["--scale", "0"]),
        ({"scale": float("nan")}, ["finite", "--scale"]),
        ({"mean": (1.0, float("inf"), 1.0)}, ["finite", "--mean"]),
        ({"std": (1.0, 0.0, 1.0)}, ["--std above 0", "1.0,0.0,1.0"]),
    ],
    ids=["family-scale", "family-mean-std", "family", "zero", "nan", "inf", "std"],
)
def test_a_choice_that_contradicts_itself_is_refused(choice, says):
    with pytest.raises(UserError) as refused:
        Preprocessing(**choice)
    assert all(word in str(refused.value) for word in says)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("choice", "images", "says"),
    [
        ({"mean": (1.0, 2.0, 3.0)}, IMAGES[..., :1], "3 channels, the last axis, for --mean"),
        ({"std": (1.0, 2.0)}, IMAGES, "2 channels, the last axis, for --std"),
        ({"family": "resnet"}, IMAGES[..., :2], "for --preprocess resnet"),
        ({"family": "vgg16"}, (IMAGES / 255).astype(np.float32), "found 0 to 1"),
        ({"family": "xception"}, (IMAGES / 127.5 - 1).astype(np.float32), "found -1 to 1"),
    ],
    ids=["grey", "two", "family", "scaled-already", "symmetric-already"],
)
def test_images_that_a_choice_is_not_for_are_refused(choice, images, says):
    with pytest.raises(UserError, match="Expected") as refused:
        Preprocessing(**choice).apply(images, source="mine.npz")
    assert says in str(refused.value)
    assert "mine.npz" in str(refused.value)


def test_preprocessing_is_done_once_to_both_sets_and_said_of_both(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=IMAGES[:40], x_test=IMAGES[40:])
    train, test = load_data(tmp_path / "mine.npz", Preprocessing(scale=0.5))
    np.testing.assert_array_equal(train.images, IMAGES[:40] * np.float32(0.5))
    np.testing.assert_array_equal(test.images, IMAGES[40:] * np.float32(0.5))
    assert train.preprocessing == test.preprocessing == "scale 0.5, mean 0.0, std 1.0"
    assert test.subset(np.array([1])).preprocessing == test.preprocessing


def test_preprocessing_needs_data():
    with pytest.raises(UserError, match="Expected --data beside"):
        find("embedded", None, Preprocessing(scale=0.5))
