"""`inspect` says what a file of any format holds, and refuses what it cannot open."""

import json
import pickle
from pathlib import Path

import pytest

from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.workspace import Workspace

EMBEDDED = Path(__file__).parents[2] / "conversion" / "subjects" / "embedded.h5"
MODEL = "00ef738c0d22918b70b588fbff8f4cf5a9f81548aab752b17f30c8acb1a0275d"
COST = 12_501_632
"""Of ResNet8's convolutions and its Dense layer, counted by hand in the reader's tests."""
WEIGHTS = 78_666
STATISTICS = 2 * (16 * 3 + 32 * 2 + 64 * 2)
"""Moving means and variances, which ONNX and PyTorch store or fold in ways of their own."""


@pytest.fixture(scope="module")
def artifact(reference, store):
    workspace = Workspace(Subject("embedded", EMBEDDED, read_spec(EMBEDDED)), reference, store)
    return lambda name: workspace.artifact(name).path


@pytest.fixture
def found(run):
    def found(path):
        code, out, said = run("inspect", path, "--json")
        assert (code, said) == (0, "")
        return json.loads(out)

    return found


def test_keras_file(found):
    seen = found(EMBEDDED)
    assert (seen["format"], seen["sha256"]) == ("Keras 3.15.1", MODEL)
    assert seen["inputs"] == [
        {"name": "input_1", "dtype": "float32", "shape": ["batch", 32, 32, 3]}
    ]
    assert seen["outputs"] == [
        {"name": "dense", "dtype": "float32", "shape": ["batch", 10], "head": "softmax"}
    ]
    assert (seen["operators"]["Conv2D"], len(seen["layers"])) == (9, 30)
    assert (seen["parameters"], seen["multiply_accumulates"]) == (WEIGHTS, COST)


def test_keras_layer(found):
    layer = next(each for each in found(EMBEDDED)["layers"] if each["name"] == "conv2d_5")
    assert layer == {
        "name": "conv2d_5",
        "kind": "Conv2D",
        "shape": [16, 16, 32],
        "parameters": 16 * 32 + 32,
        "multiply_accumulates": 16 * 16 * 32 * 16,
    }


def test_onnx_file(found, artifact):
    seen = found(artifact("onnx-fp32"))
    assert seen["format"].startswith("ONNX opset 15")
    assert (seen["nodes"], seen["initializers"], seen["operators"]["Conv"]) == (39, 35, 9)
    assert [port["shape"][1:] for port in seen["inputs"] + seen["outputs"]] == [[32, 32, 3], [10]]
    assert seen["multiply_accumulates"] == COST
    assert seen["provenance"]["conversion.source"] == MODEL


@pytest.mark.parametrize("name", ["torch-fp32", "torch-via-onnx-fp32"])
def test_pytorch_file(found, artifact, name):
    seen = found(artifact(name))
    assert name in seen["format"]
    assert seen["provenance"]["source"] == MODEL


def test_pytorch_file_of_the_direct_route(found, artifact):
    seen = found(artifact("torch-fp32"))
    assert seen["inputs"][0]["shape"] == ["batch", 32, 32, 3]
    assert seen["outputs"] == [{"name": "dense", "dtype": "float32", "shape": ["batch", 10]}]
    assert (seen["operators"]["Conv2D"], len(seen["layers"])) == (9, 30)
    assert seen["multiply_accumulates"] == COST
    assert WEIGHTS - STATISTICS <= seen["parameters"] <= WEIGHTS + STATISTICS


def test_litert_file(found, artifact):
    pytest.importorskip("ai_edge_litert", reason="keras-conversion-suite[litert] brings it")
    seen = found(artifact("litert-fp32"))
    assert [(port["dtype"], port["shape"]) for port in seen["inputs"]] == [
        ("float32", ["batch", 32, 32, 3])
    ]
    assert seen["operators"]["CONV_2D"] == 9
    assert seen["provenance"]["source"] == MODEL


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", ["keras", "onnx-fp32", "torch-fp32", "torch-via-onnx-fp32"])
def test_text_has_the_same_parts(run, artifact, name):
    path = EMBEDDED if name == "keras" else artifact(name)
    code, out, said = run("inspect", path)
    assert (code, said) == (0, "")
    parts = {line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")}
    assert parts == set(json.loads(run("inspect", path, "--json")[1]))


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def garbage(path):
    path.write_bytes(b"\xff" * 100)


def foreign_torch(path):
    import torch

    torch.save({"weight": torch.ones(2)}, path)


def pickled_torch(path):
    import torch

    torch.save({"conversion": 1, "kind": "torch-fp32", "x": Payload()}, path)


def bare_pickle(path):
    path.write_bytes(pickle.dumps(Payload(), protocol=2))  # torch warns of any other


def empty_graph(path):
    import onnx

    graph = onnx.helper.make_graph([], "g", [], [])
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        pytest.param("m.onnx", lambda path: None, "there is none", id="onnx-missing"),
        pytest.param("m.onnx", Path.touch, "no graph", id="onnx-empty"),
        pytest.param("m.onnx", garbage, "cannot be parsed", id="onnx-garbage"),
        pytest.param("m.onnx", empty_graph, "no graph", id="onnx-without-nodes"),
        pytest.param("m.pt", lambda path: None, "there is none", id="pt-missing"),
        pytest.param("m.pt", Path.touch, "tensors and plain values", id="pt-empty"),
        pytest.param("m.pt", garbage, "tensors and plain values", id="pt-garbage"),
        pytest.param("m.pt", foreign_torch, "of this package", id="pt-foreign"),
        pytest.param("m.pt", pickled_torch, "tensors and plain values", id="pt-with-code"),
        pytest.param("m.pt", bare_pickle, "tensors and plain values", id="pt-pickle"),
        pytest.param("m.tflite", garbage, "cannot be parsed", id="tflite-garbage"),
        pytest.param("m.pt2", Path.touch, ".pt", id="pt2"),
        pytest.param("m.tflite", Path.touch, "m.tflite", id="tflite"),
    ],
)
def test_what_cannot_be_opened_is_said(refused, folder, name, make, words):
    make(folder / name)
    said = refused("inspect", name)
    assert words in said
    assert name in said
    assert not (folder / "touched").exists()
