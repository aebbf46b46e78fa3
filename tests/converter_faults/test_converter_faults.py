"""What a converter does wrong by itself, said by scripts that import nothing of this package."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from generated.judging import images, save
from generated.networks import of_seed

pytestmark = pytest.mark.slow


def lines_of(script, *given):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("tensorflow")
    command = [sys.executable, Path(__file__).with_name(script), *given]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def said(script, *given):
    """The last lines of what a script says, as words to numbers."""
    lines = [line.rpartition(": off by ") for line in lines_of(script, *given)]
    return {words: float(number) for words, found, number in lines if found}


def test_litert_cuts_off_what_a_minimum_reads_for_whatever_else_reads_it():
    off = said("litert_minimum.py")
    assert off["without minimum"] < 0.05
    assert off["with minimum"] > 0.5


def test_litert_gives_no_number_for_the_unit_of_zeros():
    off = said("litert_unit_normalization.py")
    assert off["others"] < 1e-6
    assert np.isnan(off["zeros"])


def test_litert_is_calibrated_on_other_sums_of_a_transposed_convolution_of_an_even_kernel():
    off = said("litert_conv3d_transpose.py")
    assert off["odd kernel"] < 0.01
    assert off["even kernel"] > 0.1


def test_litert_cuts_off_what_an_activation_reads_that_chooses():
    off = said("litert_choice.py")
    assert off["relu"] < 0.05
    assert off["celu"] > 0.5
    assert off["slope and threshold"] > 0.3


def test_litert_cuts_off_what_an_adaptive_average_pooling_reads():
    off = said("litert_adaptive_pooling.py")
    assert off["average pooling"] < 0.05
    assert off["adaptive average pooling"] > 0.1


def test_pytorch_says_how_far_its_engines_are_off_in_a_grouped_convolution():
    """On CPUs without AMX all of them are right; where it is at fault depends on the machine."""
    off = said("torch_grouped_int8.py")
    right = [value for words, value in off.items() if words.startswith("fbgemm")]
    assert all(value < 0.05 for value in right)
    assert len(off) >= 2


def test_litert_says_which_tensors_of_a_drawn_network_it_cuts_off(reference, tmp_path):
    path = save(reference, of_seed(261), 261, tmp_path)
    np.save(tmp_path / "x.npy", images(of_seed(261), 261)["image"])
    lines = lines_of("litert_cut_ranges.py", path, tmp_path / "x.npy")
    (add,) = (line for line in lines if line.startswith("drawn_1/add_3_1/Add"))
    assert add.endswith("read by DEPTHWISE_CONV_2D, MAXIMUM")


def test_litert_gives_the_same_images_other_outputs_when_it_is_asked_again(reference, tmp_path):
    path = save(reference, of_seed(152), 152, tmp_path)
    np.save(tmp_path / "images.npy", images(of_seed(152), 152)["image"])
    off = said("litert_second_call.py", path, tmp_path / "images.npy")
    assert off["under XNNPACK, first calls"] < 1e-4
    assert off["under XNNPACK, later calls"] > 0.1
    assert off["without it, later calls"] < 1e-4


def test_onnx_runtime_gives_0_for_the_softmax_of_one_value():
    off = said("onnx_softmax_of_one.py")
    assert off["one value"] == 1
    assert off["two values"] < 0.01


def test_litert_stops_on_a_transposed_convolution_with_a_hard_sigmoid_and_no_bias():
    lines = lines_of("litert_transposed_bias.py")
    assert "linear: runs" in lines
    (stops,) = (line for line in lines if line.startswith("hard_sigmoid: "))
    assert stops.startswith("hard_sigmoid: stops, ")


@pytest.mark.parametrize(("seed", "runs"), [(41, False), (441, False), (261, True)])
def test_litert_stops_at_a_layer_that_is_zero_on_every_image(reference, tmp_path, seed, runs):
    path = save(reference, of_seed(seed), seed, tmp_path)
    np.save(tmp_path / "x.npy", images(of_seed(seed), seed)["image"])
    *_, last = lines_of("litert_stops.py", path, tmp_path / "x.npy")
    assert (last == "runs") is runs
