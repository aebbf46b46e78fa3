"""Layers: the first one at fault is named, and agreement without power is no pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.core.quantity import About
from conversion.proof.metrics import layers

ABOUT = About("small", "onnx-fp32")
NAMES = ["one", "two", "three", "four"]


def network(seed=0, noise=1e-7):
    """Truth of four layers, and Keras's float32 view of it."""
    random = np.random.default_rng(seed)
    truth = {name: random.normal(0, 1, (200, 3, 3, 4)) for name in NAMES}
    return truth, {n: noisy(a, noise, seed + 1) for n, a in truth.items()}


def noisy(array, size, seed):
    drawn = np.random.default_rng(seed).normal(0, size, array.shape)
    return (array + drawn).astype(np.float32)


def errors_of(truth, keras, found, size=200):
    """Errors as multiples of Keras's, the images a chunk at a time."""
    noise = gathered(truth, keras, size).differences()
    return gathered(truth, found, size, noise).errors()


def gathered(truth, found, size, noise=None):
    all_layers = layers.Layers({}, noise)
    for start in range(0, 200, size):
        for name in truth:
            all_layers.add(name, *(each[name][start : start + size] for each in (truth, found)))
    return all_layers


def judged(truth, keras, found, hint=""):
    errors = errors_of(truth, keras, found)
    return layers.layer_error(ABOUT, errors, {}, {}, hint, 200)


def verdicts(found):
    return [measured.verdict.value for measured in found]


def test_another_rounding_passes():
    truth, keras = network()
    found = {name: noisy(a, 1e-7, 9) for name, a in truth.items()}
    assert verdicts(judged(truth, keras, found)) == ["pass"] * 3


@settings(max_examples=20)
@given(st.sampled_from(NAMES), st.integers(0, 3), st.integers(0, 100))
def test_the_first_layer_at_fault_is_named_with_its_neighbours(name, channel, seed):
    truth, keras = network(seed)
    found = {n: noisy(a, 1e-7, seed + 7) for n, a in truth.items()}
    for later in NAMES[NAMES.index(name) :]:
        found[later][..., channel] += np.float32(1e-4)
    measured = judged(truth, keras, found, "a constant is added")
    assert verdicts(measured)[:2] == ["fail", "fail"]
    assert {m.layer for m in measured} == {name}
    assert measured[0].reason.startswith(f"the first layer at fault is {name}: ")
    assert "a constant is added" in measured[0].reason


def test_one_image_is_enough():
    truth, keras = network()
    found = {name: noisy(a, 1e-7, 9) for name, a in truth.items()}
    found["three"][17] += np.float32(4e-6)
    by_name = {m.name: m for m in judged(truth, keras, found)}
    assert by_name["layer_error_image"].verdict.value == "fail"
    assert by_name["layer_error_image"].layer == "three"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: a[:, :2], "should have the shape"),
        (lambda a: np.where(a == a.max(), np.nan, a).astype(np.float32), "NaN or Inf"),
    ],
    ids=["shape", "nan"],
)
def test_what_cannot_be_compared_is_a_fault_of_the_layer(spoil, words):
    truth, keras = network()
    found = {**keras, "two": spoil(keras["two"])}
    measured = judged(truth, keras, found)
    assert verdicts(measured) == ["fail"] * 3
    assert measured[0].layer == "two"
    assert words in measured[0].reason


def test_a_fault_in_a_layer_of_power_is_not_hidden_by_one_without():
    truth, keras = network()
    keras["four"] = noisy(truth["four"], 1e-3, 5)
    found = {**keras, "two": keras["two"] + np.float32(1e-3)}
    assert judged(truth, keras, found)[0].verdict.value == "fail"


def test_no_layer_is_no_pass():
    (measured,) = layers.layer_error(ABOUT, [], {}, {}, "", 200)
    assert measured.verdict.value == "undecided"


def test_a_layer_that_was_not_found_is_no_fault_and_no_pass():
    truth, keras = network()
    found = {**keras, "two": keras["one"]}
    errors = errors_of(truth, keras, found)
    measured = layers.layer_error(ABOUT, errors, {}, {}, "", 200, ["four"])
    assert verdicts(measured) == ["undecided"] * 3
    assert "two seems to be off by" in measured[0].reason


def test_a_small_fault_that_dies_out_before_the_outputs_is_a_fault():
    truth, keras = network()
    found = {**keras, "two": keras["two"] + np.float32(1e-5)}
    errors = errors_of(truth, keras, found)
    measured = layers.layer_error(ABOUT, errors, {}, {}, "", 200, ["four"])
    assert measured[0].verdict.value == "fail"
    assert measured[0].layer == "two"
