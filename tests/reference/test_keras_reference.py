"""What the real process answers, and what it refuses."""

import itertools
import sys

import numpy as np
import pytest
from tools.keras_models import save_model

from conversion.core.errors import UserError
from conversion.readers import read_spec
from conversion.reference import Reference

LAYERS = (
    ("InputLayer", {"batch_shape": [None, 2], "name": "x"}),
    ("Dense", {"units": 3, "name": "y"}),
)
CONFIG = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {
        "name": "small",
        "layers": [
            {"module": "keras.layers", "class_name": kind, "config": config}
            for kind, config in LAYERS
        ],
    },
}
"""One linear dense layer from two values to three."""

SEEDS = itertools.count()


@pytest.fixture
def small(reference, tmp_path):
    """A dense layer with weights of its own, and what the reader makes of it."""
    path = tmp_path / "small.h5"
    save_model(reference, path, CONFIG, seed=next(SEEDS))
    return path, read_spec(path)


def test_outputs_are_kernel_and_bias_applied(reference, small):
    path, spec = small
    x = np.array([[1, 0], [0, 1], [2, -3]], np.float32)
    found = reference.model(path, spec).outputs({spec.inputs[0]: x})[spec.outputs[0]]
    weights = spec.layer("y").weights
    by_hand = x @ weights["kernel"] + weights["bias"]
    assert (found.dtype, found.shape) == (np.float32, (3, 3))
    assert np.abs(found - by_hand).max() <= 1e-6  # sums of two products near 1, float32


def test_a_file_that_changed_after_it_was_read_is_refused(reference, small):
    path, spec = small
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"small\.h5 changed after it was read") as caught:
        reference.model(path, spec).outputs({spec.inputs[0]: np.ones((1, 2), np.float32)})
    assert "in _open" in caught.value.__notes__[0]


def test_a_file_that_changed_after_it_was_opened_is_answered_for_as_it_was_read(reference, small):
    path, spec = small
    x = {spec.inputs[0]: np.ones((1, 2), np.float32)}
    before = reference.model(path, spec).outputs(x)["y"]
    path.write_bytes(b"")
    assert reference.model(path, spec).outputs(x)["y"].tobytes() == before.tobytes()


def test_a_file_that_is_gone_is_refused(reference, small):
    path, spec = small
    path.unlink()
    with pytest.raises(UserError, match="FileNotFoundError"):
        reference.model(path, spec).logits({spec.inputs[0]: np.ones((1, 2), np.float32)})


def test_a_layer_that_does_not_exist_is_refused(reference, small):
    path, spec = small
    with pytest.raises(UserError, match="No such layer: z"):
        reference.model(path, spec).layer_outputs(
            {spec.inputs[0]: np.ones((1, 2), np.float32)}, ["z"]
        )


def test_images_of_another_shape_are_refused(reference, small):
    path, spec = small
    with pytest.raises(UserError, match="could not do 'outputs'"):
        reference.model(path, spec).outputs({spec.inputs[0]: np.ones((1, 5), np.float32)})


def test_it_says_which_versions_compute(reference, small):
    found = reference.model(*small).versions()
    assert set(found) == {"tensorflow", "keras", "tf2onnx", "onnx", "numpy"}
    assert found["numpy"] == np.__version__


def test_tensorflow_stays_in_its_own_process(reference):
    assert reference.call("versions", {}).values["versions"]["tensorflow"]
    assert isinstance(reference, Reference)
    assert not {"tensorflow", "keras", "tf2onnx"} & set(sys.modules)
