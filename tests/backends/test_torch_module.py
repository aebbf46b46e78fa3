"""The PyTorch module of a spec: strict, every weight once, layers under their Keras names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conversion import subjects
from conversion.core.errors import UserError
from conversion.core.spec import Layer, Spec
from conversion.proof.metrics.compare import compare
from conversion.readers import read_spec

SOURCE = (0, 2, 3, 1)
CHANNELS_FIRST = (0, 3, 1, 2)


@pytest.fixture(scope="session")
def torch_module():
    from conversion.backends import torch_module

    return torch_module


@pytest.fixture(scope="module")
def embedded():
    return read_spec(Path(subjects.__file__).with_name("embedded.h5"))


@pytest.fixture(scope="module")
def module(torch_module, embedded):
    return torch_module.from_spec(embedded)


@pytest.fixture
def run(torch_module):
    import torch

    def run(module, *inputs):
        return [r.numpy() for r in torch_module.run(module, [torch.from_numpy(i) for i in inputs])]

    return run


def spec_of(*layers, shape=(2,)):
    start = Layer("start", "InputLayer", {}, (), {}, shape)
    return Spec("made", (start, *layers), ("start",), (layers[-1].name,), "0" * 64, "3")


def layer(name, kind, source, shape, weights=None, **settings):
    return Layer(name, kind, settings, (source,), weights or {}, shape)


def dense(name, source, kernel=((1, 2), (3, 5)), activation="linear"):
    weights = {"kernel": np.array(kernel, np.float32), "bias": np.array([7, -1], np.float32)}
    return layer(name, "Dense", source, (2,), weights, units=2, activation=activation)


def conv(name, source, shape, window=1):
    kernel = np.ones((window, window, 1, 1), np.float32)
    config = {"filters": 1, "kernel_size": (window, window), "strides": (1, 1), "padding": "same"}
    return layer(name, "Conv2D", source, shape, {"kernel": kernel}, use_bias=False, **config)


def norm(weights, **settings):
    arrays = {role: np.ones(2, np.float32) for role in weights.split()}
    chosen = {"epsilon": 1e-3, "scale": True, "center": True, **settings}
    return layer("norm", "BatchNormalization", "start", (2,), arrays, **chosen)


def changed(spec, name, **weights):
    kept = spec.layer(name).weights | {role: w for role, w in weights.items() if w is not None}
    kept = {role: array for role, array in kept.items() if weights.get(role, array) is not None}
    layers = (replace(each, weights=kept) if each.name == name else each for each in spec.layers)
    return replace(spec, layers=tuple(layers))


@pytest.mark.parametrize("role", ["kernel", "bias"])
def test_a_missing_weight_of_a_convolution_is_refused(torch_module, embedded, role):
    with pytest.raises(RuntimeError, match="Missing key"):
        torch_module.from_spec(changed(embedded, "conv2d_4", **{role: None}))


@pytest.mark.parametrize("role", ["gamma", "beta", "moving_mean", "moving_variance"])
def test_a_missing_weight_of_a_normalization_is_refused(torch_module, embedded, role):
    with pytest.raises(RuntimeError, match="Missing key"):
        torch_module.from_spec(changed(embedded, "batch_normalization_3", **{role: None}))


@pytest.mark.parametrize("name", ["flatten", "activation"])
def test_a_weight_of_a_layer_that_has_none_is_refused(torch_module, embedded, name):
    with pytest.raises(RuntimeError, match="Unexpected key"):
        torch_module.from_spec(changed(embedded, name, bias=np.ones(2, np.float32)))


@pytest.mark.parametrize("role", ["beta", "gamma", "depthwise", "recurrent_kernel"])
def test_a_weight_of_an_unexpected_role_is_refused(torch_module, embedded, role):
    with pytest.raises(KeyError):
        torch_module.from_spec(changed(embedded, "dense", **{role: np.ones(10, np.float32)}))


@pytest.mark.parametrize(("setting", "role"), [("scale", "gamma"), ("center", "beta")])
def test_a_weight_that_the_settings_leave_out_is_refused(torch_module, setting, role):
    made = norm(f"{role} moving_mean moving_variance", scale=False, center=False)
    with pytest.raises(KeyError, match=setting):
        torch_module.from_spec(spec_of(made))


@pytest.mark.parametrize("role", ["gamma", "moving_mean", "moving_variance"])
def test_a_wrongly_shaped_vector_is_refused(torch_module, embedded, role):
    wrong = {role: np.ones(63, np.float32)}
    with pytest.raises(RuntimeError, match="size mismatch"):
        torch_module.from_spec(changed(embedded, "batch_normalization_6", **wrong))


@pytest.mark.parametrize("shape", [(3, 3, 64, 32), (1, 3, 32, 64), (32, 64, 3, 3)])
def test_a_wrongly_shaped_kernel_is_refused(torch_module, embedded, shape):
    with pytest.raises(RuntimeError, match="size mismatch"):
        torch_module.from_spec(changed(embedded, "conv2d_6", kernel=np.ones(shape, np.float32)))


def test_module_holds_as_many_elements_as_the_file_and_a_counter_for_each_norm(module):
    assert sum(tensor.numel() for tensor in module.state_dict().values()) == 78_666 + 7


def test_every_weight_of_the_file_is_used_once(module, embedded):
    state = [t.numpy() for name, t in module.state_dict().items() if "batches" not in name]
    stored = [array for each in embedded.layers for array in each.weights.values()]
    assert sorted(np.sort(a, None).tobytes() for a in state) == sorted(
        np.sort(a, None).tobytes() for a in stored
    )
    assert len({array.ctypes.data for array in state}) == len(state)


def test_state_has_the_names_of_the_keras_layers(module):
    convs = ["conv2d", *(f"conv2d_{i}" for i in range(1, 9)), "dense"]
    norms = ["batch_normalization", *(f"batch_normalization_{i}" for i in range(1, 7))]
    in_norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    wanted = {f"{name}.{part}" for name in convs for part in ("weight", "bias")}
    wanted |= {f"{name}.{part}" for name in norms for part in in_norm}
    assert set(module.state_dict()) == wanted


def test_module_does_not_share_memory_with_the_spec(torch_module, embedded):
    made = torch_module.from_spec(embedded)
    before = embedded.layer("dense").weights["bias"].copy()
    made.get_parameter("dense.bias").data.fill_(3.0)
    assert np.array_equal(embedded.layer("dense").weights["bias"], before)


NAMES = {
    "a/b": "a__b",
    "block/conv.1": "block__conv_1",
    "conv@2": "conv_call2",
    "0": "0",
    "_under": "_under",
    "forward": "forward_",
    "type": "type_",
    "float": "float_",
    "eval": "eval_",
    "training": "training_",
    "state_dict": "state_dict_",
    "_modules": "_modules_",
    "steps": "steps_",
    "ends": "ends_",
    "returns": "returns_",
    "described": "described_",
    "_add": "_add_",
}


@pytest.mark.parametrize(("name", "attribute"), NAMES.items(), ids=NAMES)
def test_layer_name_becomes_an_attribute(torch_module, run, name, attribute):
    made = torch_module.from_spec(spec_of(dense(name, "start"), dense("last", name)))
    assert f"{attribute}.weight" in made.state_dict()
    # (1, 1) to (1 + 3 + 7, 2 + 5 - 1) = (11, 6) to (11 + 18 + 7, 22 + 30 - 1)
    assert run(made, np.ones((1, 2), np.float32))[0].tolist() == [[36.0, 51.0]]


@pytest.mark.parametrize(
    ("first", "second"),
    [("a/b", "a__b"), ("a__b", "a/b"), ("a.b", "a_b"), ("forward", "forward_")],
)
def test_two_layers_of_one_attribute_are_refused(torch_module, first, second):
    with pytest.raises(UserError, match=f"'{first}' and '{second}' would both be"):
        torch_module.from_spec(spec_of(dense(first, "start"), dense(second, first)))


def test_a_layer_must_not_overwrite_an_input(torch_module):
    start = Layer("a_b", "InputLayer", {}, (), {}, (2,))
    spec = Spec("made", (start, dense("a.b", "a_b")), ("a_b",), ("a.b",), "0" * 64, "3")
    with pytest.raises(UserError, match=r"'a_b' and 'a\.b' would both be"):
        torch_module.from_spec(spec)


@pytest.mark.parametrize("other", ["first_relu", "first_relu_"])
def test_a_layer_may_have_the_name_of_another_layers_activation(torch_module, run, other):
    first = dense("first", "start", activation="relu")
    made = torch_module.from_spec(spec_of(first, dense(other, "first")))
    # (-1, 0) to (-1 + 7, -2 - 1) = (6, -3), relu (6, 0), to (6 + 7, 12 - 1)
    assert run(made, np.array([[-1, 0]], np.float32))[0].tolist() == [[13.0, 11.0]]


def test_an_unsupported_layer_is_refused_by_name(torch_module):
    said = r"'odd' is a GRU, for which there is no direct route .* take torch-via-onnx-fp32"
    with pytest.raises(UserError, match=said):
        torch_module.from_spec(spec_of(layer("odd", "GRU", "start", (2,))))


def changes(module):
    return [step.order for step in module.steps if step.module is None]


def test_embedded_changes_the_layout_twice(module):
    assert changes(module) == [CHANNELS_FIRST, SOURCE]


def test_a_network_of_vectors_never_changes_the_layout(torch_module):
    made = spec_of(dense("a", "start"), norm("gamma beta moving_mean moving_variance"))
    assert changes(torch_module.from_spec(made)) == []


def test_two_readers_share_one_change_of_layout(torch_module):
    shape = (4, 5, 1)
    first, second = conv("a", "start", shape), conv("b", "start", shape)
    both = Layer("sum", "Add", {}, ("a", "b"), {}, shape)
    flat = layer("flat", "Flatten", "sum", (20,))
    made = torch_module.from_spec(spec_of(first, second, both, flat, shape=shape))
    assert changes(made) == [CHANNELS_FIRST, SOURCE]


def test_an_image_that_comes_out_is_changed_back(torch_module, run):
    made = torch_module.from_spec(spec_of(conv("a", "start", (4, 5, 1)), shape=(4, 5, 1)))
    images = np.arange(40, dtype=np.float32).reshape(2, 4, 5, 1)
    assert changes(made) == [CHANNELS_FIRST, SOURCE]
    assert np.array_equal(run(made, images)[0], images)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (17, 32, 32, 3)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 7, 17])
def test_any_batch_gives_float32_rows(module, run, images, count):
    (found,) = run(module, images[:count])
    assert found.shape == (count, 10)
    assert found.dtype == np.float32
    assert abs(found.sum(axis=1) - 1).max() <= 1e-6


@pytest.mark.parametrize("count", [1, 7])
def test_rows_do_not_depend_on_their_batch(module, run, images, count):
    whole, part = run(module, images)[0], run(module, images[3 : 3 + count])[0]
    # Kernels are chosen by the batch's size and round differently: measured, 2e-7.
    (found,) = compare({"dense": whole[3 : 3 + count]}, {"dense": part})
    assert found.largest <= 2e-6


def test_module_is_in_inference_mode(module, run, images):
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    first, second = run(module, images)[0], run(module, images)[0]
    assert np.array_equal(first, second)
    assert not module.training
    assert all(bool((tensor == before[name]).all()) for name, tensor in module.state_dict().items())
