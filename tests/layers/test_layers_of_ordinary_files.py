"""Correct files whose converter merged, folded or rewrote layers: every layer is found or fused."""

import pytest
from keras_configs import functional, images, layer, sequential
from test_taps import onnx_taps, wrong  # noqa: F401

from conversion.core.artifact import Artifact, Store
from conversion.core.measurement import Verdict
from conversion.proof.checks.case import Case
from conversion.proof.checks.layers import layer_error
from conversion.subjects import find, mlperf_tiny
from conversion.workspace import Workspace

ORDER = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}


def conv(name, **settings):
    return layer("Conv2D", name, **{**ORDER, **settings})


MODELS = {
    "two heads, each its own average of one tensor": functional(
        {"x": [8, 6, 3]},
        [
            (conv("a", activation="relu"), ["x"]),
            (layer("GlobalAveragePooling2D", "one"), ["a"]),
            (layer("GlobalAveragePooling2D", "two"), ["a"]),
            (layer("Dense", "box", units=4), ["one"]),
            (layer("Dense", "kind", units=3, activation="softmax"), ["two"]),
        ],
        ["box", "kind"],
    ),
    "concatenations in a row, of branches alike": functional(
        {"x": [8, 6, 3]},
        [
            *((conv(name, activation="relu"), ["x"]) for name in "abc"),
            (layer("Concatenate", "inner"), ["a", "b"]),
            (layer("Concatenate", "outer"), ["inner", "c"]),
            (conv("end"), ["outer"]),
        ],
        ["end"],
    ),
    "a factor in front of a convolution": sequential(
        [8, 6, 3],
        layer("Rescaling", "scaled", scale=1 / 255, offset=0.0),
        conv("a", activation="relu"),
        conv("end"),
    ),
    "a gate of hard sigmoid": functional(
        {"x": [8, 6, 4]},
        [
            (conv("gate", kernel_size=1, activation="hard_sigmoid"), ["x"]),
            (layer("Multiply", "gated"), ["x", "gate"]),
            (conv("end"), ["gated"]),
        ],
        ["end"],
    ),
    "sums and a mean of the same": functional(
        {"x": [8, 6, 3]},
        [
            (conv("a"), ["x"]),
            (conv("b"), ["x"]),
            (layer("Add", "sum"), ["a", "b"]),
            (layer("Subtract", "difference"), ["a", "b"]),
            (layer("Average", "mean"), ["a", "b"]),
            (layer("Concatenate", "all"), ["sum", "difference", "mean"]),
            (conv("end"), ["all"]),
        ],
        ["end"],
    ),
    "two larger in a row": sequential(
        [8, 6, 3],
        conv("a"),
        layer("UpSampling2D", "twice", size=2),
        layer("UpSampling2D", "again", size=2),
        conv("end"),
    ),
    "slopes by channel": sequential(
        [8, 6, 3], conv("a"), layer("PReLU", "bent", shared_axes=[1, 2]), conv("end")
    ),
}

REFUSED = ("two larger in a row",)
"""Models that TensorFlow's converter to LiteRT cannot convert (2.21)."""


@pytest.fixture(scope="session")
def litert_taps(tmp_path_factory):
    """Opens a small model's LiteRT file with every tensor in view."""
    pytest.importorskip("ai_edge_litert")

    def taps(model):
        from conversion.proof.taps.opened import open_litert

        path = tmp_path_factory.mktemp("taps") / "small.tflite"
        path.write_bytes(model.keras.to_litert()[0])
        return open_litert(Artifact("litert-fp32", path, "", {}), model.spec, 1, {})

    return taps


def inputs_of(model):
    (shape,) = (model.spec.layer(name).shape for name in model.spec.inputs)
    return [images(list(shape), mean=100.0, spread=60.0)]


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_of_the_onnx_file_is_found(small, onnx_taps, name):  # noqa: F811
    model = small(MODELS[name])
    assert wrong(model, onnx_taps(model), inputs_of(model)) == []


@pytest.mark.parametrize("name", [name for name in MODELS if name not in REFUSED])
def test_every_layer_of_the_litert_file_is_found(small, litert_taps, name):
    model = small(MODELS[name])
    assert wrong(model, litert_taps(model), inputs_of(model)) == []


FILES = {
    "inception.keras": ("onnx-fp32",),
    "tutorial.keras": ("onnx-fp32", "litert-fp32"),
    "multi.keras": ("onnx-fp32", "litert-fp32"),
    "reshape.keras": ("litert-fp32",),
    "leaky.h5": ("onnx-fp32", "litert-fp32"),
    "mobile.keras": ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32", "litert-fp32"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_layers_of_a_published_kind_of_file_pass(reference, tmp_path, name):
    path = mlperf_tiny.folder() / "cases" / name
    if not path.is_file():
        pytest.skip(f"no {name} in {path.parent}")
    workspace = Workspace(find(str(path)), reference, Store(tmp_path), threads=1)
    measured = [m for each in FILES[name] for m in layer_error(Case(workspace, each))]
    assert [m.explain() for m in measured if m.verdict is not Verdict.PASS] == []
