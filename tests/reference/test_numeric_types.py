"""Files that state other types are judged in float32, with a word; nothing else passes for it."""

import numpy as np
import pytest
from keras_notation import entry, functional, sequential
from tools.keras_models import save_model

from conversion.core.errors import UserError
from conversion.proof import truth
from conversion.readers import read_spec
from conversion.readers.numeric_types import words
from conversion.reference.repairs import repairs

POLICIES = ("mixed_float16", "float16", "float64")
FLOAT32, FLOAT16 = 1e-6, 1e-4
"""Errors of a sum of 45 products of numbers around 1: below the first in float32, above the second
in float16, which has 11 bits."""


def layers(policy):
    return [
        ("InputLayer", {"batch_shape": [None, 7, 6, 3], "dtype": "float32", "name": "image"}),
        ("Conv2D", {"name": "conv", "filters": 5, "kernel_size": 3, "dtype": policy}),
        ("BatchNormalization", {"name": "norm", "dtype": policy}),
        ("GlobalAveragePooling2D", {"name": "pool", "dtype": policy}),
        ("Dense", {"name": "scores", "units": 4, "dtype": "float32"}),
    ]


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize("policy", POLICIES)
def test_keras_computes_a_model_of_another_policy_in_float32(tmp_path, reference, policy, ending):
    path = save_model(reference, tmp_path / f"mine{ending}", sequential("mine", layers(policy)), 3)
    spec = read_spec(path)
    given = {spec.inputs[0]: np.random.default_rng(0).normal(size=(9, 7, 6, 3)).astype("float32")}
    (found,) = reference.model(path, spec).outputs(given).values()
    (exact,) = truth.evaluate(spec, given, spec.outputs).layers.values()
    assert np.std(exact, axis=0).max() > 0.01
    assert found.dtype == np.float32
    assert np.abs(found - exact).max() < FLOAT32
    assert words(spec.layers)[0].startswith(f"3 layers compute in {policy}")
    assert f"conv: {policy} read as float32, in which converted files compute" in repairs(path)


def test_nothing_is_said_of_float32(tmp_path, reference):
    path = save_model(reference, tmp_path / "mine.keras", sequential("mine", layers("float32")))
    assert words(read_spec(path).layers) == []


def whole(kind, **settings):
    """A model of an input of whole numbers, which a layer reads."""
    return functional(
        "mine",
        [
            entry("InputLayer", "image", batch_shape=[None, 4, 4, 3], dtype="uint8"),
            entry("ZeroPadding2D", "pad", "image", padding=1),
            entry(kind, "first", "pad", **settings),
            entry("Flatten", "flat", "first"),
            entry("Dense", "scores", "flat", units=2, dtype="float32"),
        ],
        ["scores"],
    )


def test_keras_gives_the_same_for_whole_numbers_as_floats(tmp_path, reference):
    path = tmp_path / "mine.keras"
    save_model(reference, path, whole("Rescaling", scale=1 / 255, offset=0.0), 5)
    spec = read_spec(path)
    assert words(spec.layers) == ["input 'image' takes uint8; converted files take float32"]
    pixels = np.random.default_rng(1).integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
    wanted = reference.call(
        "tools.keras_jobs:as_saved", {"path": str(path)}, {"image": pixels}
    ).arrays["output"]
    given = {"image": pixels.astype(np.float32)}
    (found,) = reference.model(path, spec).outputs(given).values()
    assert np.ptp(wanted) > 0.01
    np.testing.assert_array_equal(found, wanted)


def test_a_layer_that_computes_otherwise_with_whole_numbers_is_named(tmp_path, reference):
    path = tmp_path / "mine.keras"
    save_model(reference, path, whole("UpSampling2D", size=2, interpolation="bilinear"))
    with pytest.raises(UserError, match=r"takes uint8.*'first' \(UpSampling2D\).*Rescaling\(1.0\)"):
        read_spec(path)
