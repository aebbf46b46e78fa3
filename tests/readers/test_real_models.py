"""The files of MLPerf Tiny and of the embedded subject are read whole."""

from collections import Counter
from pathlib import Path

import pytest

from conversion.readers import read_spec
from conversion.readers.cost import multiply_accumulates
from conversion.subjects import mlperf_tiny

EMBEDDED = Path(__file__).parents[2] / "conversion" / "subjects" / "embedded.h5"
RESNET = mlperf_tiny.folder() / mlperf_tiny.MODEL
VWW = mlperf_tiny.folder() / "models" / "vww_96.h5"

# Height x width x filters x (kernel height x kernel width x channels), by hand.
RESNET8_COSTS = {
    "conv2d": 32 * 32 * 16 * (3 * 3 * 3),
    "conv2d_1": 32 * 32 * 16 * (3 * 3 * 16),
    "conv2d_2": 32 * 32 * 16 * (3 * 3 * 16),
    "conv2d_3": 16 * 16 * 32 * (3 * 3 * 16),
    "conv2d_4": 16 * 16 * 32 * (3 * 3 * 32),
    "conv2d_5": 16 * 16 * 32 * (1 * 1 * 16),
    "conv2d_6": 8 * 8 * 64 * (3 * 3 * 32),
    "conv2d_7": 8 * 8 * 64 * (3 * 3 * 64),
    "conv2d_8": 8 * 8 * 64 * (1 * 1 * 32),
    "dense": 64 * 10,
}
RESNET8_TOTAL = 12_501_632

# MobileNetV1 0.25 at 96x96: size after the depthwise convolution, its channels, the next ones.
VWW_STAGES = [(48, 8, 16), (24, 16, 32), (24, 32, 32), (12, 32, 64), (12, 64, 64), (6, 64, 128)]
VWW_STAGES += [(6, 128, 128)] * 5 + [(3, 128, 256), (3, 256, 256)]
VWW_TOTAL = 7_489_664


@pytest.fixture(scope="module")
def read():
    known = {}

    def read(path):
        if not path.is_file():
            brings = f"to get it: {mlperf_tiny.COMMAND}" if path == RESNET else "no command has it"
            pytest.skip(f"{path.name} is not in {path.parent}; {brings}")
        if path not in known:
            known[path] = read_spec(path)
        return known[path]

    return read


resnets = pytest.mark.parametrize("path", [RESNET, EMBEDDED], ids=["mlperf-tiny", "embedded"])


@resnets
def test_resnet8_has_its_layers(read, path):
    counted = Counter(layer.kind for layer in read(path).layers)
    assert counted == {
        "InputLayer": 1,
        "Conv2D": 9,
        "BatchNormalization": 7,
        "Activation": 7,
        "Add": 3,
        "AveragePooling2D": 1,
        "Flatten": 1,
        "Dense": 1,
    }


@resnets
def test_resnet8_has_its_weights(read, path):
    assert read(path).parameters() == 78_666


@resnets
@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("add", ("activation", "batch_normalization_2")),
        ("add_1", ("conv2d_5", "batch_normalization_4")),
        ("add_2", ("conv2d_8", "batch_normalization_6")),
    ],
)
def test_resnet8_adds_its_shortcuts(read, path, name, inputs):
    assert read(path).layer(name).inputs == inputs


@resnets
def test_resnet8_ends_in_softmax(read, path):
    spec = read(path)
    assert (spec.inputs, spec.outputs, spec.head("dense")) == (("input_1",), ("dense",), "softmax")
    assert (spec.layer("input_1").shape, spec.layer("dense").shape) == ((32, 32, 3), (10,))


@resnets
def test_resnet8_costs_what_it_costs_by_hand(read, path):
    assert sum(RESNET8_COSTS.values()) == RESNET8_TOTAL
    assert multiply_accumulates(read(path)) == RESNET8_COSTS


@pytest.mark.parametrize(
    ("path", "version", "digest"),
    [
        (RESNET, "2.4.0", "5f938a8eea605438cc7360aa13c987bc6d7bd0c8d931b2917361ae7ae4eeda2f"),
        (VWW, "2.4.0", "af9111d50e6e85b2f2123345e0316ef1c384865ebf6b06340ddac7e66017450f"),
        (EMBEDDED, "3.15.1", "00ef738c0d22918b70b588fbff8f4cf5a9f81548aab752b17f30c8acb1a0275d"),
    ],
    ids=["mlperf-tiny", "vww", "embedded"],
)
def test_file_is_known_by_digest_and_version(read, path, version, digest):
    spec = read(path)
    assert (spec.keras_version, spec.digest) == (version, digest)


def test_resnet8_of_mlperf_tiny_has_its_first_and_last_numbers(read):
    spec = read(RESNET)
    kernel, bias = spec.layer("conv2d").weights["kernel"], spec.layer("dense").weights["bias"]
    assert kernel[0, 0, 0, 0] == pytest.approx(0.12583756, rel=1e-7)
    assert bias[9] == pytest.approx(0.17929795, rel=1e-7)


def test_visual_wake_words_is_read_whole(read):
    spec = read(VWW)
    kinds = Counter(layer.kind for layer in spec.layers)
    assert (len(spec.layers), spec.parameters()) == (85, 221_794)
    assert (kinds["Conv2D"], kinds["DepthwiseConv2D"], spec.layer("dense").shape) == (14, 13, (2,))


def test_visual_wake_words_costs_what_it_costs_by_hand(read):
    stages = sum(size**2 * (9 * old + old * new) for size, old, new in VWW_STAGES)
    assert 48**2 * 8 * (3 * 3 * 3) + stages + 256 * 2 == VWW_TOTAL
    assert sum(multiply_accumulates(read(VWW)).values()) == VWW_TOTAL
