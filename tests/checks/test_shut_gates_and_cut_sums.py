"""Layers that few images show, and a ReLU that is the end of another layer's last step."""

import numpy as np
import pytest

from conversion.core.spec import Layer, Spec
from conversion.proof.taps.matches import Match
from conversion.proof.taps.network import Computed, Network
from conversion.proof.taps.opened import MOST_PROBES
from conversion.proof.taps.owners import Owners
from conversion.workspace.layer_reference import showing

COUNT = 40
ROWS = np.arange(4)


def gate(*opened):
    """0 in all images but some."""
    found = np.zeros((COUNT, 1, 1))
    found[list(opened)] = 1
    return found


@pytest.mark.parametrize(
    ("opened", "chosen"),
    [((17,), [0, 1, 2, 3, 17]), ((2,), [0, 1, 2, 3]), ((), [0, 1, 2, 3])],
    ids=["shut in all of the first", "open in one of them", "shut for good"],
)
def test_an_image_is_added_by_which_a_gate_is_told_from_zero(opened, chosen):
    varied = np.random.default_rng(0).normal(size=(COUNT, 3))
    assert list(showing({"varied": varied, "gate": gate(*opened)}, ROWS)) == chosen


def test_no_more_than_a_few_images_are_added():
    gates = {str(each): gate(each) for each in range(10, 30)}
    assert len(showing(gates, ROWS)) == MOST_PROBES


@pytest.mark.parametrize(
    ("kind", "last", "together"),
    [("mul", "ReLU", True), ("relu", "ReLU", False), ("mul", "Activation", False)],
    ids=["a product that cuts off", "an operator of its own", "another activation"],
)
def test_a_product_that_ends_in_a_relu_is_the_layers_before_it_too(kind, last, together):
    image = Layer("x", "InputLayer", {}, (), {}, (4,))
    layers = (image, Layer("norm", "RMSNormalization", {}, ("x",), {}, (4,)))
    spec = Spec(
        "net", (*layers, Layer("cut", last, {}, ("norm",), {}, (4,))), ("x",), ("cut",), "", "3"
    )
    tensors = (
        Computed("x", "", ()),
        Computed("normal", "mul", ("x",)),
        Computed("end", kind, ("normal",)),
    )
    matches = {
        name: Match(name, tensor, None, (4,), 0.0, (name,))
        for name, tensor in {"x": "x", "norm": "normal", "cut": "end"}.items()
    }
    owners = Owners(spec, Network(tensors, ("x",), ("end",)), matches)
    assert owners.around("end") == ({"cut", "norm"} if together else {"cut"})
