"""Outputs that softmax or sigmoid makes the same for every image are compared before it."""

import h5py
import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

import conversion
from conversion.core.artifact import Store

HEADS = {"softmax": 3, "sigmoid": 1}
"""Activation to units."""

BACKENDS = ["keras-fp32", "onnx-fp32", "torch-fp32", "litert-fp32"]


def wake_word(activation):
    """A small network as MLPerf Tiny's streaming wake word."""
    return [
        ("InputLayer", {"batch_shape": [None, 8, 8, 1], "dtype": "float32", "name": "x"}),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu", "name": "conv"}),
        ("Flatten", {"name": "flat"}),
        ("Dense", {"units": HEADS[activation], "activation": activation, "name": "out"}),
    ]


@pytest.fixture(params=HEADS)
def saturated(request, reference, tmp_path):
    """Logits far from each other, or from 0, in every image, that vary by some tenths."""
    path = tmp_path / "saturated.h5"
    save_model(reference, path, sequential("saturated", wake_word(request.param)), seed=1)
    with h5py.File(path, "r+") as file:
        weights = file["model_weights/out/out"] if "out" in file["model_weights/out"] else None
        weights = weights or next(iter(file["model_weights/out"].values()))["out"]
        kernel, bias = (
            next(array for name, array in weights.items() if role in name)
            for role in ("kernel", "bias")
        )
        kernel[...] = kernel[...] * 1e-4
        bias[...] = np.float32([40.0] if len(bias) == 1 else [150.0, 0.0, 20.0])
    return path


def judged(path, folder, **others):
    return conversion.verify(str(path), topics=["parity"], store=Store(folder / "store"), **others)


def test_a_right_model_is_decided_by_its_logits(saturated, one_process, tmp_path):
    ran = judged(saturated, tmp_path, backends=BACKENDS)
    assert ran.exit_code() == 0
    before = [m for m in ran.measurements if "before its activation" in m.reason]
    assert {m.artifact for m in before} == set(BACKENDS)


@pytest.mark.parametrize("wrong", ["a kernel off by 5 %", "no activation"])
def test_a_fault_before_or_behind_them_is_seen(saturated, wrong, one_process, tmp_path):
    import onnx
    from onnx import numpy_helper

    judged(saturated, tmp_path, backends=["onnx-fp32"], report=tmp_path / "out")
    model = onnx.load(next((tmp_path / "out").rglob("onnx-fp32.onnx")))
    if wrong == "a kernel off by 5 %":
        kernel = next(t for t in model.graph.initializer if list(t.dims)[:1] == [144])
        values = numpy_helper.to_array(kernel) * np.float32(1.05)
        kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
    else:
        last = model.graph.node[-1]
        assert last.op_type in ("Softmax", "Sigmoid")
        last.op_type = "Identity"
        last.ClearField("attribute")
    onnx.save(model, tmp_path / "wrong.onnx")
    found = judged(
        saturated,
        tmp_path,
        backends=["onnx-fp32"],
        artifacts={"onnx-fp32": tmp_path / "wrong.onnx"},
    )
    assert found.exit_code() == 1
    assert any(
        m.verdict == "fail" and m.name.startswith("output_error") for m in found.measurements
    )


def test_a_model_that_gives_the_same_for_all_images_is_undecided_and_said_once(
    saturated, one_process, tmp_path
):
    with h5py.File(saturated, "r+") as file:
        weights = next(iter(file["model_weights/out"].values()))
        weights = weights.get("out", weights)
        kernel = next(array for name, array in weights.items() if "kernel" in name)
        kernel[...] = 0
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    data = {"x_train": images[:30], "x_test": images[30:]}
    topics = ["structure", "parity", "quantization", "accuracy"]
    own = {"data": data, "topics": topics, "store": Store(tmp_path / "store")}
    ran = conversion.verify(str(saturated), backends=[*BACKENDS, "onnx-int8"], **own)
    assert ran.exit_code() == 4
    odd = [m for m in ran.measurements if str(m.verdict) in ("undecided", "fail")]
    converted = [m.artifact for m in odd if m.artifact != "keras-fp32"]
    assert sorted(converted) == sorted([*BACKENDS[1:], "onnx-int8"]), [m.explain() for m in odd]
    (said,) = [m.reason for m in odd if m.artifact == "onnx-int8"]
    assert "gives all images the same outputs" in said
