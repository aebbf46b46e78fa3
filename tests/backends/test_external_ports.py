"""Files of others that want images in another layout or dtype, or so many at a time."""

from dataclasses import replace

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.proof.checks import checks
from conversion.proof.checks.case import Case
from conversion.subjects import find
from conversion.workspace import Workspace

LAYERS = [
    ("InputLayer", {"batch_shape": [None, 6, 5, 3], "dtype": "float32", "name": "x"}),
    ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "padding": "same", "name": "a"}),
    ("ReLU", {"name": "r"}),
    ("Conv2D", {"filters": 2, "kernel_size": [1, 1], "name": "y"}),
]


@pytest.fixture(scope="module")
def plain(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ports")
    path = save_model(reference, folder / "small.keras", sequential("small", LAYERS), seed=1)
    return Workspace(find(str(path)), reference, Store(folder / "store"), threads=1)


def channels_first(model):
    """Both ends as PyTorch exports them, the network between them as it is."""
    from onnx import helper

    graph = model.graph
    given, taken = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.input[:] = ["inside" if name == given else name for name in node.input]
        node.output[:] = ["before" if name == taken else name for name in node.output]
    first = helper.make_node("Transpose", [given], ["inside"], "in", perm=[0, 2, 3, 1])
    last = helper.make_node("Transpose", ["before"], [taken], "out", perm=[0, 3, 1, 2])
    nodes = [first, *graph.node, last]
    del graph.node[:]
    graph.node.extend(nodes)
    sizes((graph.input[0], (3, 6, 5)), (graph.output[0], (2, 6, 5)))


def sizes(*ports):
    for port, shape in ports:
        for dim, size in zip(port.type.tensor_type.shape.dim[1:], shape, strict=True):
            dim.dim_value = size


def fixed(model):
    for port in (model.graph.input[0], model.graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_value = 3


def of_doubles(model):
    from onnx import TensorProto, helper

    graph = model.graph
    given = graph.input[0]
    for node in graph.node:
        node.input[:] = ["inside" if name == given.name else name for name in node.input]
    nodes = [
        helper.make_node("Cast", [given.name], ["inside"], "in", to=TensorProto.FLOAT),
        *graph.node,
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    given.type.tensor_type.elem_type = TensorProto.DOUBLE


def other(plain, path, change):
    import onnx

    model = onnx.load(plain.artifact("onnx-fp32").path)
    change(model)
    onnx.save(model, path)
    return replace(plain, external={"onnx-fp32": path})


WAYS = {
    "channels first": (channels_first, "channels come first: images are transposed"),
    "fixed batch": (fixed, "the batch is fixed at 3"),
    "doubles": (of_doubles, "images come as double"),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_right_file_passes_and_its_ports_are_said(plain, tmp_path, name):
    change, words = WAYS[name]
    case = Case(other(plain, tmp_path / "other.onnx", change), "onnx-fp32")
    found = [
        m for check in checks("onnx-fp32", ("structure", "parity")) for m in check.measure(case)
    ]
    wrong = [m.explain() for m in found if m.verdict in (Verdict.FAIL, Verdict.UNDECIDED)]
    assert wrong == []
    (ports,) = [m for m in found if m.name == "ports"]
    assert words in ports.reason


def test_a_wrong_file_fails_through_the_transposition_too(plain, tmp_path):
    from onnx import numpy_helper

    def changed(model):
        channels_first(model)
        for tensor in model.graph.initializer:
            whole = numpy_helper.to_array(tensor)
            if whole.ndim == 4:
                tensor.CopyFrom(numpy_helper.from_array(whole[:, ::-1].copy(), tensor.name))

    case = Case(other(plain, tmp_path / "other.onnx", changed), "onnx-fp32")
    found = [m for check in checks("onnx-fp32", ("parity",)) for m in check.measure(case)]
    assert Verdict.FAIL in {m.verdict for m in found}


def test_weights_in_float16_are_refused_in_a_sentence(plain, tmp_path):
    from onnx import TensorProto, helper, numpy_helper

    def halved(model):
        tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
        name, whole = tensor.name, numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(whole.astype(np.float16), f"{name}_half"))
        cast = helper.make_node("Cast", [f"{name}_half"], [name], "half", to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)

    changed = other(plain, tmp_path / "other.onnx", halved)
    with pytest.raises(UserError, match=r"^Expected weights in float32 in other.onnx; 1 tensors"):
        changed.runner("onnx-fp32")
