"""Ideal rounding to eight bits, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.checks.int8.ideal_rounding import halves, rounded
from conversion.proof.metrics.int8 import Steps, in_steps


def layer(kind, **weights):
    arrays = {role: np.asarray(value, np.float32) for role, value in weights.items()}
    return Layer("it", kind, {}, ("x",), arrays, (2,))


def test_results_are_rounded_to_the_nearest_step_and_cut_off_at_the_ends():
    steps = Steps(np.array(0.5, np.float32), np.array(100, np.uint8))
    found = in_steps(np.array([0.0, 0.3, -0.2, -80.0, 80.0]), steps)
    assert found.tolist() == [0.0, 0.5, 0.0, -50.0, 77.5]


def test_each_output_channel_of_a_kernel_has_steps_of_its_own():
    kernel = [[64.0, 0.64], [0.6, 0.006], [-32.4, -0.324]]
    found = rounded(layer("Dense", kernel=kernel, bias=[0.3, 0.4]), [None])
    assert found.weights["kernel"] == pytest.approx(
        np.array([[64, 0.64], [1, 0.01], [-32, -0.32]]), abs=1e-6
    )
    assert found.weights["bias"].tolist() == pytest.approx([0.3, 0.4])


@pytest.mark.parametrize("kind", ["Conv2D", "Conv2DTranspose", "DepthwiseConv2D"])
def test_kernels_keep_their_layout(kind):
    role = "depthwise_kernel" if kind == "DepthwiseConv2D" else "kernel"
    kernel = np.random.RandomState(0).normal(0, 1, (3, 3, 4, 2)).astype(np.float32)
    found = rounded(layer(kind, **{role: kernel}), [None]).weights[role]
    apart = np.abs(found - kernel)
    assert 0 < apart.max() <= np.abs(kernel).max() / 64 / 2 * (1 + 1e-6)


@pytest.mark.parametrize("first", [False, True], ids=["channels last", "channels first"])
@pytest.mark.parametrize("rank", [1, 2])
def test_a_separable_convolution_in_halves_is_the_whole(rank, first):
    drawn = np.random.default_rng(rank)
    shape = (3, *[9] * rank) if first else (*[9] * rank, 3)
    arrays = {
        "depthwise_kernel": drawn.normal(size=(*[3] * rank, 3, 2)),
        "pointwise_kernel": drawn.normal(size=(*[1] * rank, 6, 5)),
        "bias": drawn.normal(size=5),
    }
    config = {"strides": [2] * rank, "padding": "same", "filters": 5, "activation": "relu"}
    config |= {"kernel_size": [3] * rank, "dilation_rate": [1] * rank, "depth_multiplier": 2}
    config["data_format"] = "channels_first" if first else "channels_last"
    whole = Layer("it", f"SeparableConv{rank}D", config, ("x",), arrays, ())
    spec = Spec(
        "model", (Layer("x", "InputLayer", {}, (), {}, shape), whole), ("x",), ("it",), "", "3.15"
    )
    value = drawn.normal(size=(2, *shape))
    between, last = halves(whole)
    expected = truth.evaluate_layer(spec, whole, [value])
    spread = truth.evaluate_layer(spec, between, [value])
    assert spread.shape[1 if first else -1] == 6
    assert truth.evaluate_layer(spec, last, [spread]) == pytest.approx(expected, abs=1e-12)


def test_what_is_folded_into_a_kernel_makes_small_factors_lose_more():
    """Rows of factors 1 and 100 in steps of 1: of 0.4 and 0.3 nothing is left, 40 and 30 stay."""
    kernel = np.array([[0.4, 0.3], [0.4, 0.3]])
    folded = kernel * [[1.0], [100.0]]
    found = SimpleNamespace(
        is_located=True, wanted=SimpleNamespace(kernel=folded), unit=np.ones((2, 2))
    )
    kept = rounded(layer("Dense", kernel=kernel), [found]).weights["kernel"]
    assert kept == pytest.approx(np.array([[0, 0], [0.4, 0.3]]), abs=1e-7)
