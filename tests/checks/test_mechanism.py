"""What an error looks like: every pattern is named for what it is, and noise for nothing."""

from dataclasses import replace

import numpy as np
import pytest

from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.metrics.diagnosis import explains, hint
from conversion.proof.metrics.mistakes import mistakes


@pytest.fixture
def layer():
    return np.random.default_rng(0).normal(0.3, 1.0, (8, 6, 6, 20))


def bottom_right(a):
    found = a.copy()
    found[:, -1] += 1.0
    found[:, :, -1] += 1.0
    return found


def one_channel(a):
    found = a.copy()
    found[..., 7] *= np.linspace(0, 1, 6)[None, :, None]
    return found


PATTERNS = {
    "padding": (bottom_right, "only the bottom and right border is wrong: padding"),
    "bias": (lambda a: a + np.arange(20), "a constant is added in 19 channels"),
    "one bias": (lambda a: a + (np.arange(20) == 3), "a constant is added in channel 3"),
    "factor": (lambda a: a * 1.5, "every value is 1.5 times"),
    "channels": (lambda a: a[..., ::-1], "the channels are in another order"),
    "axes": (lambda a: a.transpose(0, 2, 1, 3), "height and width exchanged"),
    "mirrored": (lambda a: a[:, :, ::-1], "mirrored"),
    "relu too many": (lambda a: np.maximum(a, 0), "negative values are cut off"),
    "ceiling": (lambda a: np.minimum(a, 1.0), "values are cut off at 1"),
    "one channel": (one_channel, "only channel 7 wrong"),
    "norm": (lambda a: a * np.linspace(0.5, 2, 20) + np.arange(20), "each channel is scaled"),
    "shape": (lambda a: a[:, :5], "its shape is (5, 6, 20), not (6, 6, 20)"),
    "nan": (lambda a: a / (a > 0), "NaN or Inf"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_is_named(layer, name):
    change, words = PATTERNS[name]
    assert hint(layer, change(layer)).startswith(words) or words in hint(layer, change(layer))


def test_missing_relu_is_named(layer):
    assert hint(np.maximum(layer, 0), layer).startswith("negative values pass")


def test_missing_ceiling_is_named(layer):
    assert hint(np.minimum(layer, 1.0), layer).startswith("values pass 1: a ceiling")


@pytest.mark.parametrize("size", [2, 6])
def test_what_is_equal_or_rounded_looks_like_nothing(layer, size):
    part = layer[:, :size, :size]
    assert hint(part, part) == ""
    assert hint(part, part.astype(np.float32)) == ""


def test_noise_looks_like_nothing(layer):
    assert hint(layer, layer + np.random.default_rng(1).normal(0, 0.1, layer.shape)) == ""


def small(kind, config, weights, shape):
    entry = Layer("x", "InputLayer", {}, (), {}, (6, 6, 3))
    it = Layer("it", kind, config, ("x",), weights, shape)
    return Spec("small", (entry, it), ("x",), ("it",), "0", "3")


def conv(strides):
    random = np.random.default_rng(2)
    weights = {"kernel": random.normal(0, 1, (3, 3, 3, 3)), "bias": random.normal(0, 1, 3)}
    plain = {k: a.astype(np.float32) for k, a in weights.items()}
    config = {"strides": strides, "padding": "same", "dilation_rate": (1, 1)}
    return small("Conv2D", config, plain, (6, 6, 3))


def norm():
    random = np.random.default_rng(3)
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {role: (0.5 + random.random(3)).astype(np.float32) for role in roles}
    return small("BatchNormalization", {"epsilon": 1e-3}, weights, (6, 6, 3))


def activated(**config):
    return small("Activation", config, {}, (6, 6, 3))


def larger(interpolation):
    config = {"size": (2, 2), "interpolation": interpolation}
    return small("UpSampling2D", config, {}, (12, 12, 3))


def given_by(spec):
    images = np.random.default_rng(4).normal(0, 1, (4, 6, 6, 3))
    return truth.evaluate(spec, {"x": images}).layers["it"]


USUAL = {
    "conv": (conv((1, 1)), 6),
    "strided": (conv((2, 2)), 6),
    "norm": (norm(), 6),
    "leaky": (small("LeakyReLU", {"negative_slope": 0.15}, {}, (6, 6, 3)), 5),
    "gelu": (activated(activation="gelu"), 2),
    "softmax": (small("Softmax", {"axis": -1}, {}, (6, 6, 3)), 2),
    "bilinear": (larger("bilinear"), 3),
    "nearest": (larger("nearest"), 1),
}


@pytest.mark.parametrize("name", USUAL)
def test_every_usual_mistake_explains_itself_and_no_other(name):
    spec, least = USUAL[name]
    right = given_by(spec)
    wrong = {
        words: given_by(replace(spec, layers=(spec.layers[0], changed)))
        for words, changed in mistakes(spec.layer("it"))
    }
    assert len(wrong) >= least
    for words, found in wrong.items():
        assert [other for other in wrong if explains(right, found, wrong[other])] == [words]


def test_symmetric_padding_is_windows_that_begin_early():
    spec = conv((2, 2))
    images = np.random.default_rng(4).normal(0, 1, (4, 6, 6, 3))
    valid = replace(spec.layer("it"), config={**spec.layer("it").config, "padding": "valid"})
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moved = truth.evaluate(replace(spec, layers=(spec.layers[0], valid)), {"x": padded})
    words = [
        words
        for words, changed in mistakes(spec.layer("it"))
        if explains(
            given_by(spec),
            moved.layers["it"],
            given_by(replace(spec, layers=(spec.layers[0], changed))),
        )
    ]
    assert words == ["its windows begin one pixel too early: padding"]
