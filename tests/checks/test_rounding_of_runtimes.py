"""What right float32 runtimes round differently is no fault, and Keras's luck no yardstick."""

import numpy as np
import pytest

from conversion.core.artifact import Store
from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.metrics.compare import Comparison, compare
from conversion.proof.metrics.layers import Layers
from conversion.proof.metrics.views import identity
from conversion.proof.truth import in_float32
from conversion.workspace.budget import Streaming
from conversion.workspace.layer_reference import LayerReference

RANDOM = np.random.default_rng(0)
SHAPE = (5, 6, 4)
FLOAT32 = 2.0**-23


def weights(*shape):
    return {role: RANDOM.normal(size=shape).astype(np.float32) for role in ("gamma", "beta")}


def constants(mean, variance):
    return {"axis": -1, "mean": [mean] * 4, "variance": [variance] * 4}


LAYERS = {
    "a layer's": Layer("y", "LayerNormalization", {"epsilon": 1e-3, "axis": -1}, ("x",),
                       weights(4), SHAPE),
    "over two axes": Layer("y", "LayerNormalization", {"epsilon": 1e-3, "axis": [1, 3]}, ("x",),
                           weights(5, 4), SHAPE),
    "without weights": Layer("y", "LayerNormalization", {"epsilon": 1e-3, "axis": [-1]}, ("x",),
                             {}, SHAPE),
    "two groups": Layer("y", "GroupNormalization", {"epsilon": 1e-3, "axis": -1, "groups": 2},
                        ("x",), weights(4), SHAPE),
    "groups of one, first axis": Layer(
        "y", "GroupNormalization", {"epsilon": 1e-3, "axis": 1, "groups": -1}, ("x",), weights(5),
        SHAPE,
    ),
    "by constants": Layer("y", "Normalization", constants(1.0, 0.001), ("x",), {}, SHAPE),
    "gelu": Layer("y", "Activation", {"activation": "gelu"}, ("x",), {}, SHAPE),
}  # fmt: skip


def spec_of(*layers, shape=SHAPE):
    image = Layer("x", "InputLayer", {}, (), {}, shape)
    return Spec("net", (image, *layers), ("x",), (layers[-1].name,), "", "3")


def evaluated(spec, values, rounded):
    names = {layer.name for layer in spec.layers}
    walked = truth.walk(spec, {"x": values}, names, rounded=rounded)
    return {layer.name: np.concatenate(value) for layer, _, value in walked}


@pytest.mark.parametrize("kind", LAYERS)
def test_the_rounded_arithmetic_is_that_of_the_truth_in_float32(kind):
    spec, values = spec_of(LAYERS[kind]), RANDOM.normal(1, 1, (3, *SHAPE)).astype(np.float32)
    exact, rounded = (evaluated(spec, values, each)["y"] for each in (False, True))
    assert in_float32.rounds(spec)
    assert 0 < np.abs(exact - rounded).max() < 64 * FLOAT32 * np.abs(exact).max()


def test_a_network_without_such_layers_is_not_evaluated_twice(tmp_path):
    spec = spec_of(Layer("y", "ReLU", {}, ("x",), {}, SHAPE))
    assert not in_float32.rounds(spec)
    assert not in_float32.rounds(spec_of(Layer("y", "Normalization", constants(0.4, 0.05), ("x",),
                                               {}, SHAPE)))  # fmt: skip
    assert LayerReference(spec, None, Store(tmp_path), {}, None).rounding == {}


def test_a_mean_of_one_value_may_be_lost_by_any_runtime(tmp_path, monkeypatch):
    """Of one value the normal one is 0, which `x * scale - mean * scale` gives by luck alone."""
    config = {"epsilon": 1e-5, "axis": -1}
    layer = Layer("y", "LayerNormalization", config, ("x",), {"beta": np.float32([0.3])}, (9, 1))
    spec = spec_of(layer, Layer("z", "Add", {}, ("x", "y"), {}, (9, 1)), shape=(9, 1))
    values = RANDOM.normal(0, 3, (8, 9, 1)).astype(np.float32)
    streaming = Streaming(10**9, 8, 6, 1)
    known = LayerReference(spec, None, Store(tmp_path), {"x": values}, streaming)
    assert known.rounding["z"].rms > 10 * FLOAT32
    again = LayerReference(spec, None, Store(tmp_path), {"x": values}, streaming)
    monkeypatch.setattr(LayerReference, "_rounded", None)  # what is kept is not computed again
    assert again.rounding["z"].rms == known.rounding["z"].rms


class Keras:
    """Gives of every layer what PyTorch does, or the truth's own values rounded once."""

    def __init__(self, spec):
        self.spec = spec

    def layer_outputs(self, inputs, names):
        exact = evaluated(self.spec, inputs["x"], False)
        return {name: exact[name].astype(np.float32) for name in names}


def test_a_group_normalization_by_pytorch_passes_beside_a_keras_that_is_exact(tmp_path):
    """With means of 100 times the spread it is 100 times as far off as half a unit."""
    import torch

    layer = LAYERS["two groups"]
    spec, values = spec_of(layer), RANDOM.normal(100, 1, (40, *SHAPE)).astype(np.float32)
    streaming = Streaming(10**9, 40, 6, 1)
    known = LayerReference(spec, Keras(spec), Store(tmp_path), {"x": values}, streaming)
    given = [torch.tensor(layer.weights[role]) for role in ("gamma", "beta")]
    moved = torch.tensor(np.moveaxis(values, -1, 1).copy())
    found = torch.nn.functional.group_norm(moved, 2, *given, 1e-3).movedim(1, -1)
    exact = evaluated(spec, values, False)["y"]

    def at_fault(noise, factor=1.0):
        layers = Layers({"y": "none"}, noise)
        layers.add("y", exact, (found * factor).numpy())
        (error,) = layers.errors()
        return error.at_fault

    (alone,) = compare({"y": exact}, {"y": exact.astype(np.float32)}, dtype=np.float32)
    assert at_fault({"y": alone})
    assert not at_fault(known.noise)
    assert at_fault(known.noise, 1.001)


def test_an_image_of_larger_values_may_be_off_by_more():
    values = RANDOM.normal(size=(50, 8))
    values[3] *= 100
    compared = Comparison("y", identity, np.float32)
    compared.add(values, values.astype(np.float32))
    noise = compared.difference()
    assert noise.image_noise[3] == pytest.approx(
        noise.noise * np.sqrt(np.square(values[3]).mean() / np.square(values).mean())
    )
    assert noise.image_noise[4] == noise.noise
