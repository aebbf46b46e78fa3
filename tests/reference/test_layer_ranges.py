"""Ranges of layers from the real process: numbers travel, the layers stay."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tools.keras_models import save_model

from conversion.core.errors import UserError
from conversion.readers import read_spec

CONFIG = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {
        "name": "small",
        "layers": [
            {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {"batch_shape": [None, 2], "name": "x"},
            },
            {
                "module": "keras.layers",
                "class_name": "Dense",
                "config": {"units": 3, "name": "hidden", "activation": "relu"},
            },
            {
                "module": "keras.layers",
                "class_name": "Dense",
                "config": {"units": 4, "name": "y", "activation": "softmax"},
            },
        ],
    },
}


@pytest.fixture(scope="module")
def small(reference, tmp_path_factory):
    """Two dense layers with activations of their own, 600 inputs: three batches of Keras's."""
    path = tmp_path_factory.mktemp("small") / "small.h5"
    save_model(reference, path, CONFIG, seed=5)
    spec = read_spec(path)
    x = np.random.RandomState(0).randint(-8, 8, (600, 2)).astype(np.float32)
    x[598:] = [[-30, -30], [30, 30]]  # the extremes are in the last batch
    return reference.model(path, spec), spec, x


def by_hand(spec, x):
    """Every layer with and without its activation, float64."""
    dense = {name: spec.layer(name).weights for name in ("hidden", "y")}
    plain = x.astype(np.float64) @ dense["hidden"]["kernel"] + dense["hidden"]["bias"]
    hidden = np.maximum(plain, 0)
    logits = hidden @ dense["y"]["kernel"] + dense["y"]["bias"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {
        ("x", False): x,
        ("hidden", False): hidden,
        ("hidden", True): plain,
        ("y", True): logits,
        ("y", False): powers / powers.sum(axis=1, keepdims=True),
    }


def test_ranges_are_those_of_all_batches_with_and_without_the_layers_own_activation(small):
    model, spec, x = small
    wanted = by_hand(spec, x)
    found = model.layer_ranges({"x": x}, list(wanted))
    assert (found.shape, found.dtype) == ((5, 4), np.float64)
    for (low, high, beyond, count), value in zip(found, wanted.values(), strict=True):
        assert (low, high) == pytest.approx((value.min(), value.max()), rel=1e-5, abs=1e-6)
        assert (beyond, count) == (0, value.size)


def test_values_beyond_the_bounds_are_counted(small):
    model, spec, x = small
    bounds = {"x": (-3.0, 4.0), "hidden": (-1.0, 2.5), "y": (0.1, 1.0)}
    values = {name: by_hand(spec, x)[name, False] for name in bounds}
    found = model.layer_ranges({"x": x}, [(name, False) for name in bounds], list(bounds.values()))
    for (low, high), value, row in zip(bounds.values(), values.values(), found, strict=True):
        assert row[2] == np.count_nonzero((value < low) | (value > high))


def test_whole_numbers_are_taken_as_they_are(small):
    model, spec, x = small
    whole = np.abs(x).astype(np.uint8)
    found = model.layer_ranges({"x": whole}, [("y", True)])
    logits = by_hand(spec, whole)["y", True]
    assert found[0, :2].tolist() == pytest.approx([logits.min(), logits.max()], rel=1e-5)


def test_the_same_question_is_answered_from_what_was_kept_and_another_one_is_not(
    small, monkeypatch
):
    model, _, x = small
    asked = [("hidden", False)]
    first = model.layer_ranges({"x": x}, asked)
    calls = []
    call = model.reference.call
    monkeypatch.setattr(
        model.reference, "call", lambda job, *rest: calls.append(job) or call(job, *rest)
    )
    assert model.layer_ranges({"x": x}, asked).tobytes() == first.tobytes()
    assert calls == []
    other = x.copy()
    other *= 3
    assert model.layer_ranges({"x": other}, asked)[0, 1] != first[0, 1]
    model.layer_ranges({"x": x}, asked, [(0.0, 1.0)])
    assert calls == ["layer_ranges", "layer_ranges"]


def test_a_layer_that_does_not_exist_is_refused(small):
    model, _, x = small
    with pytest.raises(UserError, match="No such layer: z"):
        model.layer_ranges({"x": x}, [("z", False)])


def test_as_many_images_are_asked_for_at_a_time_as_all_layers_are_held_of(small):
    model, _, x = small
    asked = []

    def call(job, values, arrays):
        asked.append((job, values["batch"]))
        return SimpleNamespace(arrays={"ranges": np.zeros((1, 4))})

    other = replace(model, reference=SimpleNamespace(call=call), batch=250, chunk=7, _ranges={})
    other.layer_ranges({"x": x}, [("hidden", False)])
    assert asked == [("layer_ranges", 7)]
