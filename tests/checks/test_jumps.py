"""Images on which rounding decides on which side of an activation's jump a value lies."""

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion import session
from conversion.core.artifact import Store
from conversion.core.spec import Layer, Spec
from conversion.proof.truth.jumps import at_a_jump, edges_of

RELU = {"class_name": "ReLU", "config": {"threshold": 0.25, "max_value": 4.0}}


def one(kind, **config):
    return Layer("it", kind, config, ("x",), {}, (2,))


@pytest.mark.parametrize(
    ("it", "edges"),
    [
        (one("Activation", activation="hard_shrink"), (-0.5, 0.5)),
        (one("ReLU", threshold=0.25), (0.25,)),
        (one("Dense", activation=RELU), (0.25,)),
        (one("ReLU", threshold=0.0, negative_slope=0.1), ()),
        (one("LeakyReLU", negative_slope=0.3), ()),
        (one("Activation", activation="soft_shrink"), ()),
        (one("Dense"), ()),
    ],
    ids=lambda value: value.kind if isinstance(value, Layer) else None,
)
def test_an_activation_jumps_where_its_formula_does(it, edges):
    assert edges_of(it) == edges


@pytest.mark.parametrize(
    ("it", "edge"),
    [(one("Activation", activation="hard_shrink"), -0.5), (one("ReLU", threshold=0.25), 0.25)],
    ids=["in the layer", "the layer itself"],
)
def test_an_image_is_at_a_jump_where_a_value_is_within_the_reach_of_rounding(it, edge):
    spec = Spec("s", (Layer("x", "InputLayer", {}, (), {}, (2,)), it), ("x",), ("it",), "", "3")
    near = edge * (1 + 1e-7)
    images = np.array([[1.0, 2.0], [near, 1.0], [1.0, edge * 1.001], [0.0, near]])
    assert at_a_jump(spec, {"x": images}, 3).tolist() == [False, True, False, True]


def test_an_image_at_a_jump_gives_its_place_to_the_one_before(reference, one_process, tmp_path):
    """Keras and an artifact may be on different sides of it, and both be right."""
    layers = [
        ("InputLayer", {"batch_shape": [None, 4], "name": "x"}),
        ("Activation", {"activation": "hard_shrink", "name": "cut"}),
        ("Dense", {"units": 3, "name": "y"}),
    ]
    path = save_model(reference, tmp_path / "jumps.keras", sequential("jumps", layers), seed=1)
    images = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    images[[0, 7]] = 0.5
    store = Store(tmp_path / "store")
    with session.opened(str(path), data={"x_test": images}, store=store) as workspace:
        (judged,), drawn = workspace.parity_inputs.values(), workspace.test.images
    (row,) = np.flatnonzero((drawn == 0.5).all(axis=1) & (np.arange(len(drawn)) > 0))
    assert (judged[row] == drawn[row - 1]).all()
    assert (judged[0] == drawn[1]).all()
    assert (judged[row + 1 :] == drawn[row + 1 :]).all()


def test_two_relus_of_other_thresholds_that_read_the_same_both_count():
    image = Layer("x", "InputLayer", {}, (), {}, (1,))
    cuts = [Layer(f"cut{t}", "ReLU", {"threshold": t}, ("x",), {}, (1,)) for t in (0.25, 0.75)]
    spec = Spec("s", (image, *cuts), ("x",), tuple(each.name for each in cuts), "", "3")
    images = np.array([[0.25], [0.5], [0.75]])
    assert at_a_jump(spec, {"x": images}, 3).tolist() == [True, False, True]
