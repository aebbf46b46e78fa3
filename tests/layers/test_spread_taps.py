"""Layers that a file computes by several operations are found where their output is."""

import pytest
from keras_configs import functional, images, layer, sequential
from test_taps import onnx_taps as onnx_taps
from test_taps import wrong

from conversion.readers.activations import ACTIVATIONS

INVALID = {"gelu", "celu"}  # tf2onnx 1.17 writes Erfc and Expm1, which ONNX does not have
NAMES = {*ACTIVATIONS} - INVALID - {"glu", "linear"}
MIDDLE = {
    **{name: ("Activation", {"activation": name}) for name in (*NAMES, *INVALID)},
    "bent": ("ReLU", {"negative_slope": 0.2, "threshold": 0.5, "max_value": 3.5}),
    "above a threshold": ("ReLU", {"threshold": 0.5}),
    "leaking": ("ReLU", {"negative_slope": 0.2}),
    "leaking below a ceiling": ("ReLU", {"negative_slope": 0.2, "max_value": 3.5}),
    "ELU": ("ELU", {"alpha": 0.5}),
    "PReLU": ("PReLU", {"shared_axes": [1, 2]}),
    "softmax of rows": ("Softmax", {"axis": 1}),
    "LayerNormalization": ("LayerNormalization", {}),
    "LayerNormalization of rows": ("LayerNormalization", {"axis": 1, "center": False}),
    "GroupNormalization": ("GroupNormalization", {"groups": 2}),
    "UnitNormalization": ("UnitNormalization", {}),
    "BatchNormalization of rows": ("BatchNormalization", {"axis": 1}),
    "Normalization": ("Normalization", {}),
    "Normalization back": ("Normalization", {"invert": True}),
    "Resizing": ("Resizing", {"height": 7, "width": 6}),
    "Dropout": ("SpatialDropout2D", {"rate": 0.5}),
}
NEXT = {
    "convolution": ("Conv2D", {"filters": 2, "kernel_size": [1, 2]}),
    "normalization": ("BatchNormalization", {}),
    "activation": ("Activation", {"activation": "swish"}),
    "nothing": ("Flatten", {}),
}
chains = pytest.mark.parametrize("middle", sorted({*MIDDLE} - INVALID))
SLOW = [pytest.param(end, marks=pytest.mark.slow) for end in NEXT if end != "normalization"]
ends = pytest.mark.parametrize("end", ["normalization", *SLOW])


def chain(middle, end):
    first = layer("Conv2D", "conv", filters=4, kernel_size=[2, 3])
    made = layer(MIDDLE[middle][0], "middle", **MIDDLE[middle][1])
    return sequential([6, 5, 3], first, made, layer(NEXT[end][0], "end", **NEXT[end][1]))


@pytest.mark.one_in(3)
@chains
@ends
def test_layer_is_found_in_its_onnx_file(small, onnx_taps, middle, end):
    model = small(chain(middle, end))
    assert wrong(model, onnx_taps(model), [images([6, 5, 3], spread=1.0)]) == []


@pytest.fixture(scope="session")
def torch_taps(tmp_path_factory):
    """Opens a small model's PyTorch file with its layers in view."""

    def taps(model):
        from conversion.backends import torch_file, torch_module
        from conversion.core.artifact import Artifact
        from conversion.proof.taps.opened import open_torch

        module = torch_module.from_spec(model.spec)
        content = {
            "spec": torch_module.describe(model.spec),
            "state_dict": module.state_dict(),
        }
        path = tmp_path_factory.mktemp("taps") / "small.pt"
        torch_file.save(path, "torch-fp32", content, {})
        probe = {"input": images([6, 5, 3], count=1)}
        return open_torch(Artifact("torch-fp32", path, "", {}), model.spec, 1, probe)

    return taps


@pytest.mark.one_in(3)
@pytest.mark.parametrize("end", ["normalization", "activation", "nothing"])
@pytest.mark.parametrize("middle", sorted(MIDDLE))
def test_layer_is_found_in_its_pytorch_file(small, torch_taps, middle, end):
    model = small(chain(middle, end))
    assert wrong(model, torch_taps(model), [images([6, 5, 3], spread=1.0)]) == []


MERGED = ["Add", "Subtract", "Average", "Multiply", "Maximum", "Minimum"]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("kind", MERGED)
@pytest.mark.parametrize("gate", ["image", "channels", "vector"])
def test_merge_of_branches_is_found_in_its_onnx_file(small, onnx_taps, kind, gate):
    pool = layer("GlobalAveragePooling2D", "mean", keepdims=gate == "channels")
    second = ["other"] if gate == "image" else ["mean"]
    calls = [
        (layer("Conv2D", "conv", filters=4, kernel_size=2, activation="swish"), ["x"]),
        (layer("Conv2D", "other", filters=4, kernel_size=2, activation="mish"), ["x"]),
        (pool, ["other"]),
        (layer(kind), ["conv", *second]),
        (layer("Conv2D", "end", filters=2, kernel_size=1), ["it"]),
    ]
    model = small(functional({"x": [6, 5, 3]}, calls, ["end", "mean"]))
    assert wrong(model, onnx_taps(model), [images([6, 5, 3])]) == []


@pytest.mark.parametrize("name", ["swish", "hard_sigmoid", "mish"])
def test_activation_whose_input_is_read_elsewhere_too(small, onnx_taps, name):
    calls = [
        (layer("Conv2D", "conv", filters=4, kernel_size=[2, 3]), ["x"]),
        (layer("Activation", "bent", activation=name), ["conv"]),
        (layer("Conv2D", "side", filters=4, kernel_size=1), ["conv"]),
        (layer("Add", "sum"), ["bent", "side"]),
        (layer("Conv2D", "end", filters=2, kernel_size=1), ["sum"]),
    ]
    model = small(functional({"x": [6, 5, 3]}, calls, ["end"]))
    assert wrong(model, onnx_taps(model), [images([6, 5, 3])]) == []
