"""Wrong files of others, with weights of our own: the layer is named, and what is wrong with it."""

from dataclasses import replace

import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.measurement import Verdict
from conversion.proof.checks.case import Case
from conversion.proof.checks.layers import layer_error
from conversion.subjects import find
from conversion.workspace import Workspace

LAYERS = [
    ("InputLayer", {"batch_shape": [None, 6, 5, 3], "dtype": "float32", "name": "x"}),
    ("Conv2D", {"filters": 4, "kernel_size": [3, 3], "padding": "same", "name": "first"}),
    ("LeakyReLU", {"negative_slope": 0.25, "name": "bent"}),
    ("UpSampling2D", {"size": [2, 2], "interpolation": "bilinear", "name": "larger"}),
    ("Conv2D", {"filters": 2, "kernel_size": [1, 1], "name": "y"}),
]


@pytest.fixture(scope="module")
def good(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    path = save_model(reference, folder / "small.keras", sequential("small", LAYERS), seed=1)
    return Workspace(find(str(path)), reference, Store(folder / "store"), threads=1)


def other_order_of_colours(model):
    from onnx import numpy_helper

    for tensor in model.graph.initializer:
        kernel = numpy_helper.to_array(tensor)
        if kernel.shape == (4, 3, 3, 3):
            turned = numpy_helper.from_array(kernel[:, ::-1].copy(), tensor.name)
            tensor.CopyFrom(turned)


def slope_of_pytorch(model):
    for node in model.graph.node:
        if node.op_type == "LeakyRelu":
            node.attribute[0].f = 0.01


def other_coordinates(model):
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "coordinate_transformation_mode":
                attribute.s = b"asymmetric"


MISTAKES = {
    "order of colours": (other_order_of_colours, "first", "RGB and BGR are exchanged"),
    "slope": (slope_of_pytorch, "bent", "its slope is 0.01, not 0.25"),
    "coordinates": (other_coordinates, "larger", "are transformed by asymmetric, not half_pixel"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_layer_is_named_and_the_kind_of_mistake(good, tmp_path, name):
    import onnx

    change, layer, words = MISTAKES[name]
    model, path = onnx.load(good.artifact("onnx-fp32").path), tmp_path / "other.onnx"
    change(model)
    onnx.save(model, path)
    case = Case(replace(good, external={"onnx-fp32": path}), "onnx-fp32")
    first = next(m for m in layer_error(case) if m.verdict is Verdict.FAIL)
    assert (first.layer, words in first.reason) == (layer, True), first.reason
