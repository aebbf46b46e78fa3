"""Ideal rounding to eight bits, by hand."""

import numpy as np
import pytest

from conversion.core.spec import Layer
from conversion.proof.checks.int8.ideal_rounding import in_steps, rounded
from conversion.proof.metrics.int8 import Steps


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
