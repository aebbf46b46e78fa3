"""Layers whose truth is Keras in float64: read, judged at ONNX, and an injected fault is seen."""

from dataclasses import replace

import numpy as np
import pytest
from keras_notation import entry, functional, sequential
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.errors import NoTruth, UserError
from conversion.core.measurement import Verdict
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.checks.weights import file_weights
from conversion.proof.taps.recurrent_weights import over_time
from conversion.readers import read_spec
from conversion.session import judge
from conversion.subjects import Subject
from conversion.workspace import Workspace


def inner(kind, **settings):
    config = {"name": "inner", "dtype": "float32", **settings}
    return {"module": "keras.layers", "class_name": kind, "config": config}


def model(shape, *layers):
    first = ("InputLayer", {"batch_shape": [None, *shape], "dtype": "float32", "name": "given"})
    named = [(kind, {"name": f"it{i}", **chosen}) for i, (kind, chosen) in enumerate(layers)]
    last = ("Dense", {"name": "scores", "units": 3, "activation": "softmax"})
    return sequential("mine", [first, *named, last])


GLOROT = {"bias_initializer": "glorot_uniform"}
MODELS = {
    "lstm": ((7, 5), ("LSTM", {"units": 4, "return_sequences": True, **GLOROT}), ("Flatten", {})),
    "gru-backwards": ((7, 5), ("GRU", {"units": 4, "go_backwards": True, **GLOROT})),
    "gru-reset-before": ((7, 5), ("GRU", {"units": 4, "reset_after": False, **GLOROT})),
    "simple": ((7, 5), ("SimpleRNN", {"units": 4, "activation": "relu", **GLOROT})),
    "both-ways": (
        (7, 5),
        ("Bidirectional", {"merge_mode": "concat", "layer": inner("LSTM", units=3, **GLOROT)}),
    ),
    "conv-lstm": (
        (4, 6, 5, 2),
        ("ConvLSTM2D", {"filters": 3, "kernel_size": 2, "padding": "same", **GLOROT}),
        ("GlobalAveragePooling2D", {}),
    ),
    "time-distributed": (
        (4, 6, 5, 2),
        ("TimeDistributed", {"layer": inner("Conv2D", filters=3, kernel_size=2, **GLOROT)}),
        ("Flatten", {}),
    ),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory, reference):
    folder = tmp_path_factory.mktemp("by-keras")

    def saved(name, ending=".keras"):
        path = folder / f"{name}{ending}"
        if not path.exists():
            shape, *layers = MODELS[name]
            save_model(reference, path, model(shape, *layers), seed=5)
        return path

    return saved


def drawn(spec, count=3):
    (name,) = spec.inputs
    shape = (count, *spec.layer(name).shape)
    return {name: np.random.default_rng(1).normal(size=shape).astype(np.float32)}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", MODELS)
def test_the_truth_is_as_near_to_keras_as_float32_is(saved, opened, name, ending):
    workspace = opened(saved(name, ending))
    spec = workspace.spec
    given = drawn(spec)
    exact = truth.evaluate(spec, given).layers
    keras = workspace.keras.layer_outputs(given, ["it0"])
    assert exact["it0"].dtype == np.float64
    assert exact["it0"].shape[1:] == spec.layer("it0").shape
    error = np.abs(exact["it0"] - keras["it0"]).max()
    # float32 of values about 1: some roundings of 6e-8, and by float32 alone it would be 0.
    assert 0 < error < 3e-6


def test_keras_in_float64_agrees_with_a_truth_of_ours_far_below_float32(
    tmp_path, opened, reference
):
    path = tmp_path / "dense.keras"
    chosen = {"units": 6, "activation": "tanh", **GLOROT}
    save_model(reference, path, model((4, 5), ("Dense", chosen), ("Flatten", {})), seed=2)
    workspace = opened(path)
    given = drawn(workspace.spec)
    exact = truth.evaluate(workspace.spec, given).layers
    layer = workspace.spec.layer("it0")
    found = workspace.keras.in_float64(layer, [next(iter(given.values())).astype(np.float64)])
    assert np.abs(found - exact["it0"]).max() < 1e-14


def test_attention_over_two_inputs_given_by_name_is_read_and_exact(tmp_path, opened, reference):
    attention = entry("MultiHeadAttention", "heads", num_heads=2, key_dim=3)
    reads = [{"args": [_tensor("given")], "kwargs": {"value": _tensor("dense")}}]
    layers = [
        entry("InputLayer", "given", batch_shape=[None, 6, 4], dtype="float32"),
        entry("Dense", "dense", "given", units=5),
        {**attention, "inbound_nodes": reads},
        entry("Flatten", "flat", "heads"),
    ]
    path = tmp_path / "attention.keras"
    save_model(reference, path, functional("mine", layers, ["flat"], ["given"]), seed=3)
    workspace = opened(path)
    layer = workspace.spec.layer("heads")
    assert layer.inputs == ("given", "dense")
    assert layer.weights["key_dense/kernel"].shape == (5, 2, 3)
    given = drawn(workspace.spec)
    exact = truth.evaluate(workspace.spec, given).layers["heads"]
    keras = workspace.keras.layer_outputs(given, ["heads"])["heads"]
    assert 0 < np.abs(exact - keras).max() < 3e-6


def _tensor(name):
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ["lstm", "both-ways", "conv-lstm"])
def test_onnx_is_judged_at_the_outputs_and_passes(saved, opened, name):
    found = judge(Case(opened(saved(name)), "onnx-fp32"), ("structure", "parity"), {})
    assert [m.explain() for m in found if m.verdict in (Verdict.FAIL, Verdict.UNDECIDED)] == []
    judged = {m.name for m in found if m.verdict is Verdict.PASS}
    assert "output_error_pooled" in judged
    assert any("judged at the outputs" in m.reason for m in found)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ["lstm", "both-ways", "conv-lstm"])
def test_one_weight_of_the_loop_off_by_a_hundredth_fails(saved, reference, tmp_path, name):
    import onnx
    from onnx import numpy_helper

    path = saved(name)
    subject = Subject("mine", path, read_spec(path))
    good = Workspace(subject, reference, Store(tmp_path / "store"))
    file = onnx.load(good.artifact("onnx-fp32").path)
    kernel = good.spec.layer("it0").weights
    sizes = {array.size for array in kernel.values()}
    sizes |= {array.size * 2 for array in kernel.values()}
    arrays = [
        i for i in file.graph.initializer if int(np.prod(i.dims)) in sizes and len(i.dims) > 1
    ]
    values = numpy_helper.to_array(arrays[0]).copy()
    values.flat[values.size // 2] *= 1.01
    arrays[0].CopyFrom(numpy_helper.from_array(values, arrays[0].name))
    wrong = tmp_path / "wrong.onnx"
    onnx.save(file, wrong)
    bad = Workspace(subject, reference, Store(tmp_path / "store"), external={"onnx-fp32": wrong})
    found = judge(Case(bad, "onnx-fp32"), ("parity",), {})
    assert Verdict.FAIL in {m.verdict for m in found if m.name.startswith("output_error")}


def test_without_a_process_there_is_no_truth(saved):
    spec = read_spec(saved("lstm"))
    with pytest.raises(NoTruth, match="whose truth is Keras in float64"):
        truth.evaluate(spec, drawn(spec))


def test_torch_and_int8_are_skipped_with_the_reason(saved, opened):
    workspace = opened(saved("lstm"))
    for name, reason in (("torch-fp32", "no direct route"), ("litert-int8", "no images")):
        found = judge(Case(workspace, name), None, {})
        assert {m.verdict for m in found} == {Verdict.SKIPPED}
        assert any(reason in m.reason or "no runtime here" in m.reason for m in found)


REFUSED = {
    "state": ("LSTM", {"units": 3, "return_state": True}, "return_state"),
    "stateful": ("GRU", {"units": 3, "stateful": True}, "stateful"),
    "unknown-inside": ("TimeDistributed", {"layer": inner("Mine")}, "holds a Mine"),
    "wrong-rank": ("LSTM", {"units": 3}, "one sequence of steps and features"),
}


@pytest.mark.parametrize(("kind", "chosen", "sentence"), REFUSED.values(), ids=list(REFUSED))
def test_what_it_cannot_read_is_refused_in_one_sentence(kind, chosen, sentence):
    from conversion.core.custom_layers import Custom
    from conversion.readers.functional import read_layers

    shape = (7,) if sentence.startswith("one seq") else (7, 5)
    with pytest.raises(UserError, match=sentence):
        read_layers(model(shape, (kind, chosen)), lambda *_: {}, Custom())


def test_a_loop_of_too_many_steps_is_no_file_for_litert(reference, tmp_path, opened):
    path = tmp_path / "long.keras"
    save_model(
        reference, path, model((301, 2), ("Bidirectional", {"layer": inner("GRU", units=2)}))
    )
    with pytest.raises(UserError, match="have 602 steps, more than 500"):
        opened(path).artifact("litert-fp32")


RECURRENT = ("lstm", "gru-backwards", "gru-reset-before", "simple", "both-ways")


@pytest.mark.one_in(2)
@pytest.mark.parametrize("artifact", ["onnx-fp32", "litert-fp32"])
@pytest.mark.parametrize("name", RECURRENT)
def test_the_weights_of_a_recurrent_layer_are_found_whatever_order_a_file_has_its_gates_in(
    saved, opened, name, artifact
):
    workspace = opened(saved(name))
    found = {m.name: m for m in file_weights(Case(workspace, artifact))}
    assert {m.verdict for m in found.values()} == {Verdict.PASS}
    sizes = [a.size for layer in workspace.spec.layers for a in layer.weights.values()]
    assert found["weights_seen"].n == sum(sizes)


@pytest.mark.parametrize("artifact", ["onnx-fp32", "litert-fp32"])
def test_one_weight_of_a_recurrent_layer_that_is_off_by_a_hundredth_is_named(
    saved, opened, artifact
):
    workspace = opened(saved("lstm"))
    weights = dict(workspace.spec.layer("it0").weights)
    weights["cell/kernel"] = weights["cell/kernel"].copy()
    weights["cell/kernel"][2, 9] *= 1.01
    layers = (replace(e, weights=weights) if e.name == "it0" else e for e in workspace.spec.layers)
    spec = replace(workspace.spec, layers=tuple(layers))
    # The file is the right one, and the spec is not.
    held = over_time([spec.layer("it0")], Case(workspace, artifact).exposed.network)
    wrong = [each for each in held if each.differing().any()]
    assert {each.what for each in wrong} == {"the cell kernel of it0"}
    assert {int(each.differing().sum()) for each in wrong} == {1}
