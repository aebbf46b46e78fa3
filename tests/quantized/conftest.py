"""A small ONNX graph with a calibration set, and the embedded subject with a smaller one."""

import json

import numpy as np
import pytest
from small_models import artifact, saved

from conversion.backends import Ingredients
from conversion.core.settings import CalibrationChoice, Settings, TorchScheme
from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace


@pytest.fixture(scope="session")
def embedded(reference, store):
    """The embedded model with 120 calibration images: two batches of 50 and one of 20."""
    from conversion.subjects import embedded as whole
    from conversion.subjects.embedded_images import generate

    sets = {split: Dataset(*generate(split, 300), source=split) for split in ("train", "test")}
    path = whole.Path(whole.__file__).with_name("embedded.h5")
    subject = Subject("embedded-few", path, read_spec(path), **sets)
    chosen = Settings(torch=TorchScheme(method="minmax"), calibration=CalibrationChoice(120))
    return Workspace(subject, reference, store, chosen)


@pytest.fixture
def graph(tmp_path, embedded):
    """Makes ingredients by hand: a graph of one convolution and one product, and images."""

    def build(opset=15, images=None, **settings):
        images = np.random.RandomState(0).rand(120, 3, 4, 4) if images is None else images
        path = tmp_path / "prepared.onnx"
        path.write_bytes(convolution(opset).SerializeToString())
        places = tmp_path / "places.json"
        places.write_text(json.dumps({"first": ["conv", "relu"], "last": ["product"]}))
        return Ingredients(
            embedded.spec,
            None,
            Settings(**settings),
            {
                "onnx-prepared": artifact("onnx-prepared", path),
                "onnx-places": artifact("onnx-places", places),
                "calibration": saved(tmp_path, images.astype(np.float32)),
            },
        )

    return build


def convolution(opset):
    """x ``(N, 3, 4, 4)``, a convolution to 5 channels, ReLU, a product to y ``(N, 2)``."""
    from onnx import TensorProto, checker, helper, numpy_helper

    random = np.random.RandomState(1)
    weights = {
        "kernel": random.normal(size=(5, 3, 3, 3)),
        "bias": random.normal(size=5),
        "matrix": random.normal(size=(20, 2)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["a"], "conv", kernel_shape=[3, 3]),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "matrix"], ["y"], "product"),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "small",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 4, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
            [
                numpy_helper.from_array(value.astype(np.float32), name)
                for name, value in weights.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )
    checker.check_model(model, full_check=True)
    return model
