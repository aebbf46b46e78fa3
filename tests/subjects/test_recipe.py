"""A recipe of preprocessing is said in words; what it does not say is as in training."""

import numpy as np
import pytest

from conversion.core.errors import UserError
from conversion.subjects.preprocessing import Formula, Preprocessing
from conversion.subjects.recipe import Recipe, differences, of_training, stated

FLAG = "--shipped-preprocessing"


def test_what_is_said_changes_and_what_is_not_is_listed():
    base = of_training(Preprocessing(scale=1 / 255))
    found, open_ = stated("resize=bicubic,antialias=no,channels=bgr", base, FLAG)
    assert (found.resize, found.antialias, found.channels) == ("bicubic", "no", "bgr")
    assert found.formula.scale == 1 / 255
    assert open_ == ("decoder", "turned", "fit", "grid", "rounded", "scale, mean, std")


def test_numbers_may_be_one_a_channel():
    found, _ = stated("scale=1/255,mean=0.5,0.25,0.125,std=0.5", Recipe(), FLAG)
    assert found.formula == Formula(1 / 255, (0.5, 0.25, 0.125), (0.5,))


def test_the_mean_of_raw_pixels_may_come_first():
    found, _ = stated("order=mean-first,scale=1/128,mean=64", Recipe(), FLAG)
    image = np.array([[[64.0, 192.0, 0.0]]])
    assert np.array_equal(found.finished(image), np.float32([[[0, 1, -0.5]]]))


@pytest.mark.parametrize(
    ("text", "first"),
    [("channels=bgr", 2), ("preprocess=vgg16", 2), ("preprocess=vgg16,channels=bgr", 0)],
)
def test_channels_are_reversed_once_where_recipe_and_family_do_it(text, first):
    found, _ = stated(text, Recipe(), FLAG)
    image = np.float64([[[0, 1000, 2000]]])
    assert np.argmax([abs(v) for v in found.finished(image)[0, 0]]) == 2 - first
    assert found.reversed is (first == 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bicubic", "as a file that ends in .py or .onnx, or as a recipe"),
        ("kernel=bicubic", "to state decoder"),
        ("resize=cubic", "Expected resize as bilinear"),
        ("resize=bicubic,resize=area", "each name once"),
        ("antialias=off", "Expected antialias as no, yes; got 'off'"),
        ("scale=half", "Expected numbers for scale"),
        ("scale=1,2", "as a recipe"),
        ("mean=1,x", "Expected numbers for mean"),
        ("std=0", "--std above 0"),
        ("preprocess=lenet", "Expected preprocess as convnext"),
        ("preprocess=vgg16,scale=2", "--preprocess or --scale"),
    ],
)
def test_a_mistake_is_one_sentence(text, says):
    with pytest.raises(UserError) as raised:
        stated(text, Recipe(), FLAG)
    assert says in str(raised.value)


def test_differences_are_told_and_the_arithmetic_is_not():
    one = Recipe(resize="bicubic", rounded="yes", channels="bgr", formula=Formula(2.0))
    assert differences(one, Recipe()) == [
        "channels in the order BGR, in training RGB",
        "resize kernel: bicubic, in training bilinear",
        "whole numbers after resizing: yes, in training no",
    ]
    assert differences(one, one) == []
