"""Structure checks on descriptions of files that differ in one thing."""

from types import SimpleNamespace

import numpy as np
import pytest

from conversion.backends import BACKENDS, Ingredients
from conversion.core.quantity import About
from conversion.core.settings import Settings
from conversion.core.spec import Layer, Spec
from conversion.proof.checks.structure import torch_weights
from conversion.proof.metrics.quantities import INPUTS, OPSET, OUTPUTS, ROW_ORDER
from conversion.proof.metrics.structure import (
    eight_bit_weights,
    expected,
    ports,
    rows_follow,
)
from conversion.proof.metrics.weights import equal_arrays

ABOUT = About("synthetic", "onnx-fp32")


def layer(name, kind, shape=(8, 8, 4)):
    return Layer(name, kind, {}, (), {}, shape)


SPEC = Spec(
    "net",
    (
        layer("x", "InputLayer", (8, None, 3)),
        layer("c1", "Conv2D"),
        layer("c2", "DepthwiseConv2D"),
        layer("r", "ReLU"),
        layer("p", "MaxPooling2D"),
        layer("j", "Concatenate"),
        layer("y", "Dense", (10,)),
    ),
    ("x",),
    ("y",),
    "0" * 64,
    "3",
)
INPUT = {"name": "x", "dtype": "float", "shape": ["batch", 8, "unk__7", 3]}
OUTPUT = {"name": "y", "dtype": "float", "shape": ["batch", 10]}


def test_ports_that_are_the_specs_pass_whatever_an_open_size_is_called():
    assert str(ports(ABOUT, INPUTS, ("x",), SPEC, [INPUT]).verdict) == "pass"
    assert str(ports(ABOUT, OUTPUTS, ("y",), SPEC, [OUTPUT]).verdict) == "pass"


@pytest.mark.parametrize(
    "found",
    [
        [],
        [OUTPUT, OUTPUT],
        [{**OUTPUT, "name": "z"}],
        [{**OUTPUT, "dtype": "float16"}],
        [{**OUTPUT, "dtype": "double"}],
        [{**OUTPUT, "shape": [1, 10]}],
        [{**OUTPUT, "shape": ["batch", 11]}],
        [{**OUTPUT, "shape": ["batch", "classes"]}],
        [{**OUTPUT, "shape": ["batch"]}],
        [{**OUTPUT, "shape": ["batch", 10, 1]}],
        [{**OUTPUT, "shape": []}],
    ],
    ids=[
        "none",
        "two",
        "renamed",
        "half",
        "double",
        "one image",
        "eleven",
        "open",
        "short",
        "long",
        "no shape",
    ],
)
def test_outputs_that_differ_in_one_thing_fail(found):
    measured = ports(ABOUT, OUTPUTS, ("y",), SPEC, found)
    assert str(measured.verdict) == "fail"
    assert "expected [{'name': 'y'" in measured.reason


@pytest.mark.parametrize(
    "shape",
    [["batch", 8, 3], ["batch", 8, 32, 3], ["batch", "h", "w", 3], ["batch", 8, "w", 3, 1]],
    ids=["short", "fixed", "more open", "long"],
)
def test_inputs_of_another_shape_fail(shape):
    found = ports(ABOUT, INPUTS, ("x",), SPEC, [{**INPUT, "shape": shape}])
    assert str(found.verdict) == "fail"


def test_looking_at_ports_leaves_their_description_as_it_was():
    found = {**INPUT, "shape": list(INPUT["shape"])}
    ports(ABOUT, INPUTS, ("x",), SPEC, [found])
    assert found == INPUT


ONE = np.array([[1.5, -2.0], [0.0, 3.0]], np.float32)
ULP = ONE.copy()
ULP[1, 1] = np.nextafter(ONE[1, 1], np.float32(4))
MINUS = ONE.copy()
MINUS[1, 0] = -0.0


@pytest.mark.parametrize(
    ("stored", "count"),
    [
        ({"a.kernel": ONE.copy(), "b.bias": ONE[0]}, 0),
        ({"a.kernel": np.asfortranarray(ONE), "b.bias": ONE[0]}, 0),
        ({"a.kernel": ULP, "b.bias": ONE[0]}, 1),
        ({"a.kernel": MINUS, "b.bias": ONE[0]}, 1),
        ({"a.kernel": ONE.astype(np.float64), "b.bias": ONE[0]}, 1),
        ({"a.kernel": ONE.T, "b.bias": ONE[0]}, 1),
        ({"a.kernel": ONE.reshape(4), "b.bias": ONE[0]}, 1),
        ({"a.kernel": ONE.reshape(1, 4), "b.bias": ONE[0]}, 1),
        ({"a.kernel": ONE}, 1),
        ({"a.kernel": ONE, "b.bias": ONE[0], "c.bias": ONE[0]}, 1),
        ({"a.kernel": ONE[0], "b.bias": ONE}, 2),
        ({}, 2),
    ],
    ids=[
        "same",
        "same in another order of memory",
        "one ulp",
        "minus zero",
        "float64",
        "transposed",
        "flat",
        "reshaped",
        "missing",
        "unused",
        "exchanged",
        "none",
    ],
)
def test_weights_are_equal_bit_by_bit_or_not_at_all(stored, count):
    (found,) = equal_arrays(ABOUT, {"a.kernel": ONE, "b.bias": ONE[0]}, stored)
    assert (str(found.verdict), found.value) == ("fail" if count else "pass", count)


def test_a_weight_that_differs_is_named_with_its_layer():
    (found,) = equal_arrays(ABOUT, {"net.a.kernel": ONE}, {"net.a.kernel": ULP})
    assert (found.layer, found.reason.split(" of net")[0]) == ("net.a", "1 of 4 values")


def test_a_weight_of_a_nested_model_is_named_with_the_layer_not_with_its_attribute(tmp_path):
    from conversion.backends import torch_fp32

    def spec(bias):
        weights = {"kernel": np.float32(ONE), "bias": np.float32(bias)}
        layers = (
            Layer("x", "InputLayer", {}, (), {}, (2,)),
            Layer(
                *("outer/inner", "Dense", {"units": 2, "activation": "linear"}, ("x",), weights),
                (2,),
            ),
        )
        return Spec("net", layers, ("x",), ("outer/inner",), "", "3")

    path, packages = tmp_path / "torch-fp32.pt", BACKENDS["torch-fp32"].packages
    torch_fp32.build(Ingredients(spec([1, 2]), None, Settings(), {}, packages), path)
    case = SimpleNamespace(
        workspace=SimpleNamespace(spec=spec([1, 3])),
        artifact=SimpleNamespace(path=path),
        about=ABOUT,
        held=set(),
        once=lambda _, measure: measure(),
    )
    found, *_ = torch_weights(case)
    assert (str(found.verdict), found.layer) == ("fail", "outer/inner")
    assert len(case.held) == 2


@pytest.mark.parametrize(("value", "verdict"), [(9, "fail"), (10, "pass"), (11, "pass")])
def test_a_count_must_reach_its_limit(value, verdict):
    found = eight_bit_weights(ABOUT, value, 10)
    assert (str(found.verdict), found.limit, found.unit) == (verdict, 10, "elements")


def test_what_differs_from_an_expectation_is_said():
    assert expected(OPSET, ABOUT, 15, 15).reason == ""
    found = expected(OPSET, ABOUT, 15, 13)
    assert (str(found.verdict), found.reason) == ("fail", "expected 15, found 13")


STRAIGHT = np.arange(28 * 4, dtype=np.float32).reshape(28, 4)


def follows(other, noise=1e-3, straight=STRAIGHT):
    (found,) = rows_follow(
        ROW_ORDER, ABOUT, {"y": straight}, {"y": other}, {"y": "none"}, {"y": noise}
    )
    return found


def test_rows_that_stay_the_same_follow():
    assert (str(follows(STRAIGHT).verdict), follows(STRAIGHT).value) == ("pass", 0)


@pytest.mark.parametrize(("error", "verdict"), [(0.0299, "pass"), (0.0301, "fail")])
def test_a_row_may_move_by_thirty_times_the_noise(error, verdict):
    other = STRAIGHT.copy()
    other[0] += np.float32(error)  # the first row: 0 to 3, where float32 still resolves it
    assert str(follows(other).verdict) == verdict


@pytest.mark.parametrize(
    "other",
    [
        STRAIGHT[::-1],
        np.roll(STRAIGHT, 1, axis=0),
        np.concatenate([STRAIGHT[:27], STRAIGHT[26:27]]),
        STRAIGHT[:27],
        STRAIGHT * np.float32(np.nan),
        STRAIGHT.astype(np.float64),
    ],
    ids=["reversed", "rolled", "last repeated", "last lost", "nan", "float64"],
)
def test_rows_that_do_not_follow_fail(other):
    assert str(follows(other).verdict) == "fail"


def test_rows_that_are_all_alike_decide_nothing():
    flat = np.ones((28, 4), np.float32)
    assert str(follows(flat, straight=flat).verdict) == "undecided"
