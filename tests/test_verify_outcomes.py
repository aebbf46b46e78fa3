"""What a run of a user's own model comes to: what is skipped, refused, said and demanded."""

from dataclasses import replace

import numpy as np
import pytest
from keras_notation import sequential
from tools.keras_models import save_model

import conversion
from conversion.backends import BACKENDS
from conversion.core.artifact import Store
from conversion.core.demands import Demands
from conversion.core.errors import ReferenceCrashed, UserError
from conversion.core.measurement import Concern, Verdict
from conversion.proof.checks import accuracy, parity
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8 import stability
from conversion.readers import read_spec
from conversion.reference import KerasModel
from conversion.report import exit_code, outcome
from conversion.session import chosen, judge_all
from conversion.subjects import find
from conversion.workspace import Workspace

IMAGE = {"batch_shape": [None, 9, 9, 3], "dtype": "float32", "name": "image"}
LAYERS = [
    ("InputLayer", IMAGE),
    ("Conv2D", {"filters": 6, "kernel_size": [3, 3], "padding": "same", "name": "conv"}),
    ("ReLU", {"name": "relu"}),
    ("Flatten", {"name": "flat"}),
    ("Dense", {"units": 4, "activation": "softmax", "name": "scores"}),
]
ODD_POOLING = ("AveragePooling2D", {"pool_size": [2, 2], "padding": "same", "name": "pool"})
"""Of nine pixels: onnx2torch does not convert padding that is not symmetrical."""
INT8 = ("onnx-int8", "torch-int8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, reference):
    folder = tmp_path_factory.mktemp("outcomes")
    for name, layers in {"plain": LAYERS, "odd": [*LAYERS[:3], ODD_POOLING, *LAYERS[3:]]}.items():
        config = sequential(name, layers)
        save_model(reference, folder / f"{name}.h5", config, seed=3)
    images = np.random.RandomState(1).randint(0, 4, (2, 600, 9, 9, 3)).astype(np.float32)
    plain = folder / "plain.h5"
    keras = reference.model(plain, read_spec(plain))
    labels = [keras.outputs({"image": each})["scores"].argmax(axis=1) for each in images]
    sets = {"x_train": images[0], "x_test": images[1], "y_train": labels[0]}
    np.savez(folder / "right.npz", y_test=labels[1], **sets)
    np.savez(folder / "wrong.npz", y_test=(labels[1] + 1) % 4, **sets)
    np.savez(folder / "leak.npz", y_test=labels[0], **{**sets, "x_test": images[0]})
    return folder


@pytest.fixture(scope="module")
def workspace(folder, reference):
    """A model and its data to their workspace; what is built is kept between tests."""

    def workspace(model="plain", data="right.npz", **fields):
        path = None if data is None else folder / data
        subject = find(str(folder / f"{model}.h5"), path)
        return Workspace(subject, reference, Store(folder / "store"), **fields)

    return workspace


def test_a_route_that_cannot_be_made_is_skipped_with_the_reason(workspace):
    names = ("torch-fp32", "torch-via-onnx-fp32")
    measured, made = judge_all(workspace("odd"), names, None, ("structure",))
    assert list(made) == ["torch-fp32"]
    (skipped,) = (m for m in measured if m.artifact == "torch-via-onnx-fp32")
    assert (skipped.name, str(skipped.verdict)) == ("built", "skipped")
    assert "Expected a graph that onnx2torch can convert" in skipped.reason
    ended = outcome(measured)
    assert (ended.code, ended.words.split("; ")[-1]) == (0, "skipped: torch-via-onnx-fp32")


def test_the_same_route_is_refused_where_it_was_named(workspace):
    names = ["torch-fp32", "torch-via-onnx-fp32"]
    with pytest.raises(UserError, match=r"^torch-via-onnx-fp32 cannot be made: Expected a graph"):
        judge_all(workspace("odd"), names, names, ("structure",))


def test_int8_without_images_is_skipped_and_refused_where_it_was_named(workspace):
    measured, _ = judge_all(workspace(data=None), INT8, None, None)
    assert {m.reason for m in measured} == {"no images to calibrate on: pass --data FILE"}
    assert exit_code(measured) == 2
    with pytest.raises(UserError, match="onnx-int8 cannot be made: no images to calibrate on"):
        judge_all(workspace(data=None), INT8, INT8, None)


def test_calibration_images_that_are_evaluated_on_are_a_mistake_whatever_was_named(workspace):
    with pytest.raises(UserError, match="calibration images that are not in the evaluation set"):
        judge_all(workspace(data="leak.npz"), INT8, None, None)


def test_a_crash_of_the_converter_is_said_and_leaves_the_other_routes(
    workspace, folder, monkeypatch
):
    def crash(self, opset):
        raise ReferenceCrashed("The Keras process died during 'to_onnx': killed")

    monkeypatch.setattr(KerasModel, "to_onnx", crash)
    fresh = workspace()
    fresh = replace(fresh, store=Store(folder / "crashed"))
    measured, made = judge_all(
        fresh, ("onnx-fp32", "onnx-int8", "torch-fp32"), None, ("structure",)
    )
    assert list(made) == ["torch-fp32"]
    skipped = {m.artifact: m.reason for m in measured if m.verdict is Verdict.SKIPPED}
    assert set(skipped) == {"onnx-fp32", "onnx-int8"}
    assert all("died during 'to_onnx'" in reason for reason in skipped.values())


def test_whatever_a_converter_raises_is_a_sentence_and_leaves_the_other_routes(
    workspace, folder, monkeypatch
):
    from conversion.backends import onnx_fp32

    def stop(model, target, provenance):
        raise RuntimeError("shapes contradict\neach other")

    monkeypatch.setattr(onnx_fp32, "save", stop)
    fresh = replace(workspace(), store=Store(folder / "stopped"))
    measured, made = judge_all(fresh, ("onnx-fp32", "torch-fp32"), None, ("structure",))
    assert list(made) == ["torch-fp32"]
    (skipped,) = (m for m in measured if m.artifact == "onnx-fp32")
    wanted = "building onnx-fp32 stops with RuntimeError: shapes contradict each other"
    assert skipped.reason == wanted


def test_a_file_of_our_own_that_does_not_open_is_a_failure(workspace, monkeypatch):
    from conversion.backends import torch_fp32

    def refuse(artifact, ingredients, threads):
        raise UserError("PyTorch cannot open it")

    monkeypatch.setattr(torch_fp32, "open", refuse)
    measured, _ = judge_all(workspace(), ("torch-fp32",), None, ("structure",))
    assert [(m.name, str(m.verdict)) for m in measured] == [("built", "fail")]
    assert exit_code(measured) == 1


def test_a_fault_in_a_check_leaves_the_verdicts_of_the_others(workspace, monkeypatch):
    from conversion.proof.checks import Check

    measure = Check.measure

    def stumble(check, case):
        return {}["layer"] if check.name == "weights" else measure(check, case)

    monkeypatch.setattr(Check, "measure", stumble)
    measured, _ = judge_all(workspace(), ("onnx-fp32",), None, ("structure", "parity"))
    odd = [m for m in measured if m.verdict is not Verdict.PASS and m.verdict != "skipped"]
    assert [(m.name, str(m.verdict), m.reason) for m in odd] == [
        ("weights", "undecided", "a fault of this suite ended the check: KeyError: 'layer'")
    ]
    assert sum(m.verdict is Verdict.PASS for m in measured) > 5
    assert exit_code(measured) == 4


def test_a_reference_alone_is_no_verdict(folder, one_process):
    found = conversion.verify(
        folder / "plain.h5",
        backends=["keras-fp32"],
        topics=["structure", "parity"],
        store=Store(folder / "store"),
    )
    assert found.exit_code() == 2
    assert found.table.splitlines()[-1].startswith("exit 2: no converted artifact was judged")
    assert found.document["outcome"]["code"] == 2
    assert found.document["demands"]["max_drop"] == 5.0


def test_a_named_route_waits_for_no_other(workspace, folder):
    fresh = replace(workspace(), store=Store(folder / "one"))
    judge_all(fresh, ("torch-fp32",), ("torch-fp32",), ("structure", "parity", "accuracy"))
    built = {each.name for each in (folder / "one").iterdir()}
    assert built & set(BACKENDS) == {"keras-fp32", "torch-fp32"}


@pytest.mark.parametrize(
    ("second", "topics", "ends"),
    [
        ("onnx-fp32", ("structure",), 1),
        ("torch-int8", ("structure",), 1),
        ("torch-int8", ("structure", "quantization"), 0),
    ],
    ids=["float", "int8 without its ranges", "int8"],
)
def test_the_keras_process_ends_where_what_is_left_asks_it_nothing(
    workspace, monkeypatch, second, topics, ends
):
    names, ended, judged = ("torch-fp32", second), [], workspace()
    monkeypatch.setattr(judged.reference, "close", lambda: ended.append(names))
    judge_all(judged, names, names, topics)
    assert len(ended) == ends


def test_a_file_made_elsewhere_is_judged_beside_the_backends_that_were_named(workspace, folder):
    external = {"onnx-fp32": folder / "theirs.onnx"}
    assert chosen(["torch-fp32"], workspace(external=external)) == ["torch-fp32", "onnx-fp32"]


@pytest.mark.parametrize("artifact", ["keras-fp32", "torch-fp32", "onnx-int8"])
def test_a_model_that_is_weak_on_the_data_is_told_so_and_converted_rightly(workspace, artifact):
    measured = accuracy.top1(Case(workspace(data="wrong.npz"), artifact))
    (count,) = (m for m in measured if m.name == "top1_correct")
    assert (str(count.verdict), count.concerns) == ("undecided", Concern.ADVICE)
    assert "--scale" in count.reason
    assert "--preprocess" in count.reason
    assert [m.name for m in measured if m.verdict is Verdict.FAIL] == []


@pytest.mark.parametrize(
    ("max_drop", "verdict"), [(5.0, "pass"), (1.0, "undecided"), (0.0, "fail")]
)
def test_int8_is_judged_by_the_interval_against_what_is_allowed(workspace, max_drop, verdict):
    case = Case(workspace(demands=Demands(max_drop=max_drop)), "onnx-int8")
    found = {m.name: m for m in accuracy.quantized_top1(case)}
    assert (str(found["top1_change"].verdict), found["top1_change"].limit) == ("pass", None)
    proved = found["top1_non_inferiority"]
    assert (str(proved.verdict), proved.limit, proved.concerns) == (verdict, -max_drop, "cost")
    codes = {"pass": (0, 0), "undecided": (0, 4), "fail": (3, 3)}[verdict]
    required = Demands(require_decided=True)
    assert (exit_code(list(found.values())), exit_code(list(found.values()), required)) == codes


@pytest.fixture
def turned(workspace, tmp_path):
    """An int8 artifact that gives the next class for the first half of the images."""
    from conversion.proof.faults.fault import Asked
    from conversion.proof.faults.measuring import of_rows

    def half(rows, _):
        rows[: len(rows) // 2] = np.roll(rows[: len(rows) // 2], 1, axis=1)
        return rows

    def turned(**demands):
        good = workspace(demands=Demands(**demands))
        asked = Asked("onnx-int8", (), None)
        return Case(of_rows(half)(good, tmp_path, asked), "onnx-int8")

    return turned


def test_int8_that_costs_more_than_allowed_is_no_wrong_conversion(turned):
    measured = accuracy.quantized_top1(turned())
    assert exit_code(measured) == 3
    assert outcome(measured).words.startswith("converted rightly, but int8 costs more than allowed")
    assert exit_code(accuracy.quantized_top1(turned(max_drop=90.0))) == 0


def test_classes_are_judged_only_where_a_limit_is_given(turned):
    (reported,) = accuracy.class_changes(turned())
    assert (str(reported.verdict), reported.limit) == ("pass", None)
    assert reported.value < -20
    (judged,) = accuracy.class_changes(turned(max_class_drop=10.0))
    assert (judged.word, judged.limit) == ("costs too much", -10.0)


def test_stability_of_a_users_own_model_has_no_limit_of_ours(workspace):
    whole = workspace()
    few = replace(whole.settings.calibration, count=200)
    settings = replace(whole.settings, calibration=few)
    case = Case(whole.with_settings(settings), "onnx-int8")
    found = {m.name: m for m in stability.calibration_stability(case)}
    assert found["stability_verdict"].concerns is Concern.COST
    for name in ("stability_change", "stability_agreement"):
        assert (str(found[name].verdict), found[name].limit) == ("pass", None)


@pytest.mark.parametrize(
    ("demands", "verdict"),
    [({}, None), ({"atol": 1e-4}, "pass"), ({"rtol": 1e-12}, "fail")],
    ids=["none", "within", "beyond"],
)
def test_a_tolerance_is_judged_beside_the_noise(workspace, demands, verdict):
    measured = parity.output_error(Case(workspace(demands=Demands(**demands)), "torch-fp32"))
    found = {m.name: m for m in measured}
    assert found["output_error_pooled"].verdict is Verdict.PASS
    if verdict is None:
        assert "output_tolerance" not in found
    else:
        tolerance = found["output_tolerance"]
        assert (str(tolerance.verdict), tolerance.layer, tolerance.n) == (verdict, "scores", 600)


def test_the_reference_has_no_tolerance(workspace):
    measured = parity.output_error(Case(workspace(demands=Demands(atol=1.0)), "keras-fp32"))
    assert "output_tolerance" not in {m.name for m in measured}
