"""hard_sigmoid means what the Keras that wrote a file computed under that name."""

import h5py
import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

from conversion.core.measurement import Verdict
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.reference.repairs import repairs
from conversion.session import judge

MEANINGS = {
    "2.15.0": lambda value: np.clip(0.2 * value + 0.5, 0, 1),
    "3.15.0": lambda value: np.clip(value / 6 + 0.5, 0, 1),
}
GIVEN = {"batch_shape": [None, 6, 5], "dtype": "float32", "name": "given"}
LAYERS = [
    ("InputLayer", GIVEN),
    ("LSTM", {"name": "loop", "units": 4, "recurrent_activation": "hard_sigmoid"}),
    ("Dense", {"name": "gate", "units": 3, "activation": "hard_sigmoid"}),
    ("Dense", {"name": "scores", "units": 3}),
]


@pytest.fixture
def written(tmp_path, reference):
    """The same model as each version would have written it."""
    path = tmp_path / "mine.h5"
    save_model(reference, path, sequential("mine", LAYERS), seed=4)

    def written(version):
        copy = tmp_path / f"mine-{version}.h5"
        copy.write_bytes(path.read_bytes())
        with h5py.File(copy, "r+") as file:
            file.attrs["keras_version"] = version
        return copy

    return written


def loop(meaning, spec, steps):
    """An LSTM as its paper has it, with Keras's order of gates."""
    kernel, recurrent, bias = (each.astype(float) for each in spec.layer("loop").weights.values())
    state, memory = np.zeros((2, len(steps), 4))
    for now in steps.swapaxes(0, 1).astype(float):
        write, keep, new, show = np.split(now @ kernel + state @ recurrent + bias, 4, axis=1)
        memory = meaning(keep) * memory + meaning(write) * np.tanh(new)
        state = meaning(show) * np.tanh(memory)
    return state


@pytest.mark.parametrize("version", ["2.15.0", "3.15.0"])
def test_truth_keras_and_pytorch_compute_what_the_version_meant(written, opened, version):
    workspace = opened(written(version))
    spec, meaning = workspace.spec, MEANINGS[version]
    steps = np.random.default_rng(1).normal(0, 2, (5, 6, 5)).astype(np.float32)
    state = loop(meaning, spec, steps)
    kernel, bias = (each.astype(float) for each in spec.layer("gate").weights.values())
    wanted = {"loop": state, "gate": meaning(state @ kernel + bias)}
    exact = truth.evaluate(spec, {"given": steps}).layers
    keras = workspace.keras.layer_outputs({"given": steps}, list(wanted))
    for name, value in wanted.items():
        assert np.abs(exact[name] - value).max() < 1e-14
        assert np.abs(keras[name] - value).max() < 1e-6


def test_the_copy_that_keras_opens_is_spoken_of(written):
    assert any("as Keras 2 did" in each for each in repairs(written("2.15.0"), "2.15.0"))
    assert repairs(written("3.15.0"), "3.15.0") == []


@pytest.mark.one_in(2)
@pytest.mark.parametrize(("version", "other"), [("2.15.0", "3.15.0"), ("3.15.0", "2.15.0")])
def test_a_file_of_the_versions_meaning_passes_and_one_of_the_other_fails(
    written, opened, version, other
):
    path, files = written(version), {}
    for each in (version, other):
        files[each] = opened(written(each)).artifact("onnx-fp32").path
    for each, verdicts in ((version, {Verdict.PASS}), (other, {Verdict.FAIL})):
        found = judge(Case(opened(path, {"onnx-fp32": files[each]}), "onnx-fp32"), ("parity",), {})
        assert {m.verdict for m in found if m.name == "output_error_pooled"} == verdicts
