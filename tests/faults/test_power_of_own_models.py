"""Faults are picked for the layers of any model, found in its files, caught, and named."""

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

import conversion
from conversion import UserError
from conversion.api import listed_faults
from conversion.core.spec import Layer
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.places import closest, layouts
from conversion.proof.faults.power import OVER
from conversion.proof.faults.stored_weights import rewritten

LAYERS = [
    ("InputLayer", {"batch_shape": [None, 13, 13, 3], "dtype": "float32", "name": "image"}),
    ("Conv2D", {"filters": 6, "kernel_size": [3, 3], "padding": "same", "name": "first"}),
    ("BatchNormalization", {"epsilon": 1e-3, "name": "norm"}),
    ("ReLU", {"name": "relu"}),
    ("DepthwiseConv2D", {"kernel_size": [3, 3], "strides": [2, 2], "name": "depthwise"}),
    ("AveragePooling2D", {"pool_size": [2, 2], "name": "pool"}),
    ("Flatten", {"name": "flat"}),
    ("Dense", {"units": 4, "activation": "softmax", "name": "scores"}),
]


@pytest.fixture(scope="module")
def model(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "mine.keras"
    return save_model(reference, path, sequential("mine", LAYERS), seed=3)


def layer(name, kind="Conv2D", **weights):
    return Layer(name, kind, {"epsilon": 1e-3}, (), weights, (4, 4, 2))


def test_every_layer_with_weights_has_faults_in_every_float_artifact(model):
    listed = listed_faults([str(model)])
    for artifact in ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32"):
        seen = {fault.where for fault in listed if fault.artifact == artifact}
        assert seen >= {"first", "norm", "relu", "depthwise", "pool", "scores"}
    assert len({fault.name for fault in listed}) == len(listed)


def test_faults_of_int8_are_listed_where_there_are_images_to_calibrate_on(model, tmp_path):
    images = np.random.default_rng(0).random((40, 13, 13, 3), np.float32)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(40) % 4)
    with_data = listed_faults([str(model)], data=tmp_path / "images.npz")
    assert any(fault.artifact == "torch-int8" for fault in with_data)
    assert not any("int8" in fault.artifact for fault in listed_faults([str(model)]))


def test_the_first_faults_are_of_many_operators_and_artifacts(model):
    first = listed_faults([str(model)])[:12]
    operators = {fault.name.removesuffix(f"-{fault.where}").split("fp32-")[1] for fault in first}
    assert len(operators) >= 6
    assert len({fault.artifact for fault in first}) >= 3


INJECTED = (
    *("onnx-fp32-one-weight-first", "onnx-fp32-epsilon-less-norm"),
    *("onnx-fp32-activation-missing-relu", "onnx-fp32-pool-kind-pool"),
    *("torch-fp32-kernel-rolled-depthwise", "torch-fp32-channel-silent-scores"),
    *("torch-via-onnx-fp32-bias-weaker-first", "torch-fp32-activation-missing-relu"),
)
NO_PLACE = "onnx-fp32-pads-first"
"""3x3 in steps of 1 is padded alike on every side."""


def test_faults_of_an_own_model_are_caught_and_their_layers_named(model, one_process, subtests):
    artifacts = ["onnx-fp32", "torch-fp32", "torch-via-onnx-fp32"]
    names = [*INJECTED, NO_PLACE]
    found = conversion.power([str(model)], faults=names, backends=artifacts, sweeps=False).power
    for name, trial in zip(sorted(INJECTED), sorted(found.trials, key=by_name), strict=True):
        with subtests.test(name):
            assert trial.name == name
            assert trial.caught
            assert trial.localised, trial
    assert [control.failed for control in found.controls] == [()] * 3
    assert found.left_out.keys() == {NO_PLACE}
    assert "padded alike" in found.left_out[NO_PLACE]


def by_name(trial):
    return trial.name


def test_what_the_budget_leaves_is_listed(model, one_process):
    found = conversion.power([str(model)], backends=["torch-fp32"], budget=1e-9, sweeps=False)
    assert set(found.power.left_out.values()) == {OVER}
    assert "not injected: the budget was over" in found.table


def test_two_models_of_ones_own_are_refused(model):
    with pytest.raises(UserError, match="one model of your own"):
        conversion.power([str(model), str(model)])


def test_a_layout_writes_what_it_reads():
    array = np.arange(24.0).reshape(2, 3, 1, 4)
    for shape in ((4, 1, 2, 3), (4, 3, 2), (3, 2, 4)):
        found = list(layouts(array.shape, shape))
        assert len(found) == 1
        assert np.array_equal(found[0].read(found[0].write(array)), array)
    assert list(layouts((2, 3), (3, 3))) == []


def test_a_kernel_is_found_in_any_layout_and_in_steps_of_any_size():
    drawn = np.random.default_rng(0)
    mine, other = drawn.normal(size=(2, 3, 3, 5, 7))
    steps = np.abs(mine).max(axis=(0, 1, 2)) / 127
    whole = np.rint(mine / steps).astype(np.int8).transpose(3, 2, 0, 1)
    stored = {"other": other.transpose(3, 2, 0, 1), "mine": whole}
    assert closest(layer("conv", kernel=mine), stored) == "mine"
    with pytest.raises(NotInjectable, match="no stored kernel"):
        closest(layer("conv", kernel=mine), {"other": other})


def test_a_folded_weight_is_rewritten_where_it_is_and_nothing_else():
    from conversion.core.spec import Spec

    drawn = np.random.default_rng(1)
    kernel = drawn.normal(size=(3, 3, 2, 4)).astype(np.float32)
    vectors = {r: drawn.random(4).astype(np.float32) + 1 for r in ("gamma", "beta")}
    moving = {f"moving_{r}": drawn.random(4).astype(np.float32) for r in ("mean", "variance")}
    norm = Layer(
        "norm", "BatchNormalization", {"epsilon": 1e-3}, ("conv",), {**vectors, **moving}, (4,)
    )
    other = kernel.copy()
    other[1, 1, 0, 2] *= 1.01
    good, wrong = (
        Spec("m", (layer("conv", kernel=each), norm), ("conv",), ("norm",), "0", "3")
        for each in (kernel, other)
    )
    factor = vectors["gamma"] / np.sqrt(moving["moving_variance"].astype(np.float64) + 1e-3)
    folded = (kernel * factor).transpose(3, 0, 1, 2).astype(np.float32)
    ((name, changed),) = rewritten(good, wrong, {"theirs": folded, "bias": np.zeros(4)})
    assert name == "theirs"
    assert np.argwhere(changed != folded).tolist() == [[2, 1, 1, 0]]
    assert changed[2, 1, 1, 0] == pytest.approx(1.01 * folded[2, 1, 1, 0], rel=1e-6)
