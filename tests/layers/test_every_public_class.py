"""Every public class of `keras.layers` has its place, and what Keras judges is really judged."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
from keras_configs import functional, layer, sequential
from tools.class_table import public_classes, share_judged
from tools.keras_models import save_model
from tools.wrong_weight import with_one_weight_changed

from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.readers.functional import read_layers
from conversion.readers.refused_layers import REFUSED
from conversion.readers.schema import BY_KERAS, LAYERS
from conversion.session import judge

GLOROT = {"bias_initializer": "glorot_uniform"}
CLASSES = sorted({*public_classes().values()})


def cell(kind, **settings):
    return layer(kind, **settings)


def before_scores(shape, *layers):
    """The layer under test is 'it'; scores follow, so that each of its values matters."""
    return sequential(shape, *layers, layer("Flatten", "flat"), layer("Dense", "scores", units=3))


def of_two(made, **settings):
    """Attention over a sequence and a dense layer of it."""
    values = layer("Dense", "values", units=5)
    calls = [(values, ["x"]), (made, ["values", "values"])]
    calls += [(layer("Flatten", "flat"), ["it"]), (layer("Dense", "scores", units=3), ["flat"])]
    return functional({"x": [6, 4]}, calls, ["scores"])


def _in_arguments(config):
    """Tensors that are separate arguments, as layers of several heads take them."""
    made = copy.deepcopy(config)
    (found,) = (each for each in made["config"]["layers"] if each["name"] == "it")
    (node,) = found["inbound_nodes"]
    node["args"] = node["args"][0]
    return made


GROUPS = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
STACK = {"cells": [cell("GRUCell", units=4), cell("GRUCell", units=2), cell("LSTMCell", units=3)]}
STFT = {"frame_length": 16, "frame_step": 8, "fft_length": 16}
SPECTRA = [layer("STFTSpectrogram", mode=mode, **STFT) for mode in ("log", "real")]
PIPELINE = [layer("Rescaling", "a", scale=0.1, offset=-1.0), layer("RandomFlip", "b")]
PIPELINE += [layer("CenterCrop", "c", height=4, width=3)]
DENSE = {"equation": "...x,xyz->...yz", "output_shape": [3, 2], "bias_axes": "z"}

MODELS = {
    "rnn": before_scores([7, 5], layer("RNN", cell=cell("LSTMCell", units=4, **GLOROT))),
    "rnn-stacked": before_scores([7, 5], layer("RNN", cell=cell("StackedRNNCells", **STACK))),
    "conv-lstm-1d": before_scores(
        [4, 6, 2],
        layer(
            "Rescaling", "scaled", scale=0.004, offset=0.0
        ),  # of pixels its gates would be all 0 or 1
        layer("ConvLSTM1D", filters=3, kernel_size=2, **GLOROT),
    ),
    "conv-lstm-3d": before_scores(
        [3, 4, 4, 4, 2], layer("ConvLSTM3D", filters=2, kernel_size=2, **GLOROT)
    ),
    "heads": _in_arguments(of_two(layer("MultiHeadAttention", num_heads=2, key_dim=3, **GLOROT))),
    "groups": _in_arguments(of_two(layer("GroupQueryAttention", **GROUPS, **GLOROT))),
    "attention": of_two(layer("Attention", use_scale=True)),
    "attention-added": of_two(layer("AdditiveAttention")),
    "einsum": before_scores([4, 5], layer("EinsumDense", activation="tanh", **DENSE, **GLOROT)),
    "einsum-named": before_scores(
        [4, 5],
        layer("EinsumDense", equation="abc,cd->abd", output_shape=[4, 6], bias_axes="bd"),
    ),
    "spectrum": before_scores([64, 2], SPECTRA[0]),
    "spectrum-real": before_scores([64, 1], SPECTRA[1]),
    "center-crop": before_scores([7, 8, 3], layer("CenterCrop", height=4, width=3)),
    "auto-contrast": before_scores([5, 4, 3], layer("AutoContrast", value_range=[0, 1])),
    "pipeline": before_scores([7, 8, 3], layer("Pipeline", layers=PIPELINE)),
}

OFF_CENTER = layer("Cropping2D", cropping=[[1, 2], [3, 2]])
SCALED = layer("Rescaling", "a", scale=0.101, offset=-1.0)
CHANGED = {
    "center-crop": OFF_CENTER,
    "auto-contrast": layer("AutoContrast", value_range=[0, 1.01]),
    "pipeline": layer("Pipeline", layers=[SCALED, *PIPELINE[1:]]),
}
"""Of the models whose layer has no weights: another layer in its place."""


GROUPS_OF = {
    "rnn": "rnn",
    "rnn-stacked": "rnn",
    "conv-lstm-1d": "conv_lstm1d",
    "conv-lstm-3d": "conv_lstm3d",
    "heads": "multi_head",
    "groups": "grouped",
    "attention": "attention",
    "attention-added": "additive",
    "einsum": "einsum",
    "einsum-named": "einsum",
    "spectrum": "stft",
    "spectrum-real": "stft",
}
"""Of the others: how the group of its weights begins."""


@pytest.fixture
def saved(reference, tmp_path):
    def saved(name, config):
        return save_model(reference, tmp_path / f"{name}.keras", config, seed=5)

    return saved


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", MODELS)
def test_its_truth_is_as_near_to_keras_as_float32_is(saved, opened, name):
    workspace = opened(saved(name, MODELS[name]))
    given = drawn(workspace.spec)
    exact = truth.evaluate(workspace.spec, given).layers["it"]
    keras = workspace.keras.layer_outputs(given, ["it"])["it"]
    assert exact.dtype == np.float64
    assert exact.shape[1:] == workspace.spec.layer("it").shape
    # Sums of at most some hundred terms: measured up to 4e-7 of the largest value. Of a logarithm
    # near 0, as a spectrum has it, the rounding of what it reads is seen: 1e-5.
    limit = 1e-4 if name == "spectrum" else 3e-6
    assert np.abs(exact - keras).max() <= limit * np.abs(exact).max()


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", MODELS)
def test_the_right_onnx_file_passes_and_a_wrong_one_fails(saved, opened, name):
    path = saved(name, MODELS[name])
    found = judge(Case(opened(path), "onnx-fp32"), ("structure", "parity"), {})
    assert [m.explain() for m in found if m.verdict in (Verdict.FAIL, Verdict.UNDECIDED)] == []
    assert "output_error_pooled" in {m.name for m in found if m.verdict is Verdict.PASS}
    if name in CHANGED:
        other = saved("other", exchanged(MODELS[name], CHANGED[name]))
    else:
        other = with_one_weight_changed(path, GROUPS_OF[name])
    wrong = opened(other).artifact("onnx-fp32").path
    found = judge(Case(opened(path, {"onnx-fp32": wrong}), "onnx-fp32"), ("parity",), {})
    assert Verdict.FAIL in {m.verdict for m in found if m.name.startswith("output_error")}


def exchanged(config, other):
    made = copy.deepcopy(config)
    listed = made["config"]["layers"]
    (place,) = (i for i, each in enumerate(listed) if each["config"]["name"] == "it")
    listed[place] = {**listed[place], **other}
    return made


def drawn(spec, count=3):
    (name,) = spec.inputs
    shape = (count, *spec.layer(name).shape)
    return {name: np.random.default_rng(1).uniform(size=shape).astype(np.float32)}


@pytest.mark.parametrize("kind", CLASSES)
def test_a_public_class_is_read_or_refused_with_the_reason(kind):
    assert (kind in LAYERS) + (kind in BY_KERAS) + (kind in REFUSED) == 1


def test_nine_of_ten_layers_get_a_verdict():
    judged, counted = share_judged()
    assert judged >= 0.9 * counted


@pytest.mark.parametrize("kind", sorted(BY_KERAS))
def test_each_that_keras_judges_is_tested(kind):
    texts = [Path(__file__), Path(__file__).parents[1] / "custom" / "test_layers_by_keras.py"]
    text = " ".join(path.read_text() for path in texts)
    known = {each["class_name"] for each in _layers(MODELS.values())}
    assert kind in known or f'"{kind}"' in text


def _layers(configs):
    return [each for config in configs for each in config["config"]["layers"]]


@pytest.mark.parametrize("kind", sorted(set(REFUSED) & {"Masking", "MelSpectrogram", "Embedding"}))
def test_a_refused_layer_is_refused_with_its_reason(kind):
    with pytest.raises(UserError, match=re.escape(REFUSED[kind])):
        read_layers(before_scores([7, 5], layer(kind)), lambda *_: {}, Custom())
