"""A layer of Keras by a file of the user's: a GRU by its shape alone, or with their truth."""

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.custom import load
from conversion.proof.checks.case import Case
from conversion.readers import read_spec
from conversion.session import judge
from conversion.subjects import Subject
from conversion.workspace import Workspace

LAYERS = [
    ("InputLayer", {"batch_shape": [None, 8, 5], "dtype": "float32", "name": "steps"}),
    ("GRU", {"units": 6, "name": "memory", "bias_initializer": "glorot_uniform"}),
    ("Dense", {"units": 3, "activation": "softmax", "name": "scores"}),
]

SHAPE_ALONE = """
from conversion.custom import CustomLayer, LayerRule

LAYERS = {"GRU": CustomLayer(rule=LayerRule(shape=lambda settings, shapes: (settings["units"],)))}
"""

WHOLE = """
import numpy as np

from conversion.custom import CustomLayer, LayerRule


def weights(settings, shapes):
    units = settings["units"]
    return {
        "cell/kernel": (shapes[0][-1], 3 * units),
        "cell/recurrent_kernel": (units, 3 * units),
        "cell/bias": (2, 3 * units),
    }


def sigmoid(value):
    return 0.5 * (1 + np.tanh(0.5 * value))


def truth(settings, weights, steps):
    # Cho et al. 2014, with the reset gate behind the product as Keras has it (reset_after).
    state = np.zeros((len(steps), settings["units"]))
    for now in range(steps.shape[1]):
        given = steps[:, now] @ weights["cell/kernel"] + weights["cell/bias"][0]
        kept = state @ weights["cell/recurrent_kernel"] + weights["cell/bias"][1]
        update, reset, new = zip(np.split(given, 3, axis=1), np.split(kept, 3, axis=1))
        share = sigmoid(sum(update))
        state = share * state + (1 - share) * np.tanh(new[0] + sigmoid(sum(reset)) * new[1])
    return state


LAYERS = {
    "GRU": CustomLayer(
        rule=LayerRule(
            shape=lambda settings, shapes: (settings["units"],),
            weights=weights,
            allowed={"reset_after": (True,), "return_sequences": (False,)},
        ),
        truth=truth,
    )
}
"""


@pytest.fixture(scope="module", params=[".keras", ".h5"])
def path(request, tmp_path_factory, reference):
    path = tmp_path_factory.mktemp("recurrent") / f"mine{request.param}"
    config = sequential("mine", LAYERS)
    save_model(reference, path, config, seed=3)
    return path


@pytest.fixture
def named(tmp_path):
    def named(text):
        file = tmp_path / "gru.py"
        file.write_text(text)
        return load([file])

    return named


once = pytest.mark.parametrize("path", [".keras"], indirect=True)
"""Either format: the same spec and weights are read from both, which the tests of reading show."""


def parity(path, custom, reference, folder, name):
    subject = Subject("mine", path, read_spec(path, custom))
    workspace = Workspace(subject, reference, Store(folder / "store"))
    return judge(Case(workspace, name), ("parity",), {})


def test_without_the_option_it_is_read_with_the_same_weights(path, named):
    found, wanted = (
        read_spec(path, custom).layer("memory").weights for custom in (None, named(WHOLE))
    )
    assert list(found) == list(wanted)
    assert all(np.array_equal(found[role], wanted[role]) for role in wanted)


def test_by_its_shape_alone_the_model_is_read_and_its_weights_are_not_looked_at(path, named):
    spec = read_spec(path, named(SHAPE_ALONE))
    assert spec.layer("memory").shape == (6,)
    assert spec.layer("memory").weights == {}
    assert set(spec.layer("scores").weights) == {"kernel", "bias"}


@once
def test_by_its_shape_alone_onnx_is_built_and_parity_undecided(path, named, reference, tmp_path):
    found = parity(path, named(SHAPE_ALONE), reference, tmp_path, "onnx-fp32")
    assert {m.verdict for m in found} <= {Verdict.UNDECIDED, Verdict.SKIPPED}
    assert any("has no truth" in m.reason for m in found)


def test_the_weights_of_its_cell_are_read_by_part_and_role(path, named):
    weights = read_spec(path, named(WHOLE)).layer("memory").weights
    shapes = {role: array.shape for role, array in weights.items()}
    assert shapes == {
        "cell/kernel": (5, 18),
        "cell/recurrent_kernel": (6, 18),
        "cell/bias": (2, 18),
    }
    assert np.ptp(weights["cell/bias"]) > 0


@once
def test_with_a_truth_onnx_passes_parity(path, named, reference, tmp_path):
    found = parity(path, named(WHOLE), reference, tmp_path, "onnx-fp32")
    judged = [m for m in found if m.verdict is not Verdict.SKIPPED]
    assert [m.explain() for m in judged if m.verdict is not Verdict.PASS] == []
    assert "output_error_pooled" in {m.name for m in judged}


@once
def test_with_its_gates_exchanged_the_truth_is_never_a_pass(path, named, reference, tmp_path):
    exchanged = named(WHOLE.replace("update, reset, new =", "reset, update, new ="))
    found = parity(path, exchanged, reference, tmp_path, "onnx-fp32")
    errors = [m for m in found if m.name.startswith("output_error")]
    assert {m.verdict for m in errors} == {Verdict.UNDECIDED}
    assert all("from the float64 truth" in m.reason for m in errors)


def test_a_role_that_the_file_does_not_hold_is_refused(path, named):
    custom = named(WHOLE.replace("cell/bias", "cell/offset"))
    if path.suffix == ".h5":  # names are stored there; an archive has positions
        with pytest.raises(UserError, match="should have the weights"):
            read_spec(path, custom)
    else:
        assert "cell/offset" in read_spec(path, custom).layer("memory").weights


def test_a_part_that_the_file_does_not_hold_is_refused(path, named):
    custom = named(WHOLE.replace("cell/", "cells/"))
    if path.suffix == ".h5":  # weights of a layer's parts are listed as the layer's own there
        assert "cells/kernel" in read_spec(path, custom).layer("memory").weights
    else:
        with pytest.raises(UserError, match="in 'layers/gru/cells/vars'; the file has 0"):
            read_spec(path, custom)
