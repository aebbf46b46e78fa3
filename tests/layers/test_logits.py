"""Logits are what an output is before its last softmax or sigmoid."""

import numpy as np
import pytest
from keras_configs import functional, images, layer, sequential

from conversion.proof import truth
from conversion.proof.metrics.compare import compare

LIMIT = 16 * 2.0**-24  # as in conftest.py, and for the same reason

HEADS = {
    "dense softmax": [layer("Dense", "end", units=4, activation="softmax")],
    "softmax layer": [layer("Dense", "dense", units=4), layer("Softmax", "end")],
    "softmax activation": [layer("Activation", "end", activation="softmax")],
    "dense sigmoid": [layer("Dense", "end", units=1, activation="sigmoid")],
    "sigmoid activation": [layer("Activation", "end", activation="sigmoid")],
    "dense linear": [layer("Dense", "end", units=4)],
    "flatten": [layer("Flatten", "end")],
}
heads = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


def agree(found, wanted):
    for difference in compare(wanted, found, dtype=np.float32):
        assert difference.rms <= LIMIT * difference.level


@heads
def test_logits_of_keras_are_those_of_the_truth(small, head):
    model, inputs = small(sequential([5], *head)), {"input": images([5])}
    agree(model.keras.logits(inputs), truth.evaluate(model.spec, inputs).logits)


@heads
def test_asking_for_logits_leaves_the_outputs_alone(small, head):
    model, inputs = small(sequential([5], *head)), {"input": images([5])}
    model.keras.logits(inputs)
    wanted = truth.evaluate(model.spec, inputs, keep=["end"]).layers["end"]
    # Logits in their place would be off by whole numbers.
    agree(model.keras.outputs(inputs), {"end": wanted})


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "linear"])
def test_logits_of_a_dense_layer_are_its_sums(small, activation):
    model = small(sequential([5], layer("Dense", "end", units=4, activation=activation)))
    weights = model.spec.layer("end").weights
    inputs = images([5])
    wanted = inputs.astype(np.float64) @ weights["kernel"] + weights["bias"]
    agree(model.keras.logits({"input": inputs}), {"end": wanted})
    (found,) = compare({"end": wanted}, truth.evaluate(model.spec, {"input": inputs}).logits)
    assert found.largest <= 1e-12 * found.level


def test_logits_of_a_softmax_layer_are_its_input(small):
    model, inputs = small(sequential([5], layer("Softmax", "end"))), images([5])
    assert np.array_equal(model.keras.logits({"input": inputs})["end"], inputs)


def test_logits_of_several_outputs(small):
    calls = [
        (layer("Dense", "classes", units=4, activation="softmax"), ["first"]),
        (layer("Dense", "odds", units=1, activation="sigmoid"), ["second"]),
        (layer("Dense", "number", units=2), ["first"]),
        (layer("Add", "sum"), ["first", "second"]),
    ]
    ends = ["odds", "classes", "sum", "number"]
    model = small(functional({"first": [5], "second": [5]}, calls, ends))
    inputs = {"first": images([5], 1), "second": images([5], 2)}
    found = model.keras.logits(inputs)
    assert list(found) == ends
    agree(found, truth.evaluate(model.spec, inputs).logits)
