"""Int8 files that others made: right ones pass as what they are, wrong ones are named with why."""

from dataclasses import replace

import all_kinds
import numpy as np
import pytest
from small_models import functional
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.measurement import Concern, Verdict
from conversion.proof.checks import checks
from conversion.proof.checks.batching import rows
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.saturation import saturation
from conversion.proof.checks.latency import latency_inputs, timed
from conversion.readers import read_spec
from conversion.subjects import Subject, find, mlperf_tiny
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

WHITE_BOX = (
    *("integer-weights", "onnx-operators", "ranges"),
    *("quantized-parameters", "quantized-layers"),
)


def call(kind, name, *reads, **settings):
    return (kind, name, list(reads), settings)


def conv(name, *reads, **settings):
    usual = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}
    return call("Conv2D", name, *reads, **{**usual, **settings})


PIXELS = [
    call("Rescaling", "scaled", "x", scale=1 / 127.5, offset=-1.0),
    conv("a", "scaled", use_bias=False),
    call("BatchNormalization", "n", "a"),
    call("ReLU", "r", "n"),
    conv("b", "r"),
    call("ReLU", "s", "b"),
    call("GlobalAveragePooling2D", "g", "s"),
    call("Dense", "y", "g", units=3, activation="softmax"),
]


def pixels(count, seed):
    return np.random.RandomState(seed).uniform(0, 255, (count, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def small(reference, tmp_path_factory):
    """A small network of raw pixels."""
    folder = tmp_path_factory.mktemp("pixels")
    path = save_model(reference, folder / "small.keras", functional((8, 8, 3), PIXELS, ["y"]))
    sets = {"test": Dataset(pixels(200, 1), None), "train": Dataset(pixels(100, 2), None)}
    return Workspace(
        Subject("small", path, read_spec(path), **sets), reference, Store(folder / "s")
    )


class Images:
    """Calibration images, one at a time, as ONNX Runtime asks for them."""

    def __init__(self, name, values):
        self.left = iter({name: image[None]} for image in values)

    def get_next(self):
        return next(self.left, None)


def quantized(workspace, path, factor=1.0, **settings):
    """The float file, quantized by ONNX Runtime itself."""
    from onnxruntime.quantization import quantize_static

    name, values = workspace.spec.inputs[0], workspace.subject.train.images
    source = workspace.artifact("onnx-prepared").path
    quantize_static(source, path, Images(name, values * np.float32(factor)), **settings)


def plain(workspace, path):
    quantized(workspace, path)


def ends_in_float(workspace, path):
    import onnx

    nodes = onnx.load(workspace.artifact("onnx-prepared").path).graph.node
    computing = [each.name for each in nodes if each.op_type in ("Conv", "MatMul", "Gemm")]
    quantized(workspace, path, per_channel=True, nodes_to_exclude=[computing[0], computing[-1]])


def per_tensor(workspace, path):
    from onnxruntime.quantization import QuantFormat

    quantized(workspace, path, quant_format=QuantFormat.QOperator, per_channel=False)


def dynamic(workspace, path):
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(workspace.artifact("onnx-prepared").path, path)


def on_scaled_pixels(workspace, path):
    quantized(workspace, path, 1 / 255)


def without_relu(workspace, path):
    """The first ReLU left out, though the steps behind it hold what it cuts off."""
    from onnx import load, save

    quantized(workspace, path, extra_options={"ActivationSymmetric": True})
    model = load(path)
    writers = {node.output[0]: node for node in model.graph.node}
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    again = next(node for node in model.graph.node if relu.output[0] in node.input)
    steps = writers[relu.input[0]].input[1:]
    for node in model.graph.node:
        if node is again or again.output[0] in node.input:
            node.input[1:] = steps
    again.input[0] = relu.input[0]
    model.graph.node.remove(relu)
    save(model, path)


def judged(workspace, path, make):
    make(workspace, path)
    case = Case(replace(workspace, external={"onnx-int8": path}), "onnx-int8")
    chosen = [each for each in checks("onnx-int8") if each.name in WHITE_BOX]
    return {found.name: found for check in chosen for found in check.measure(case)}


def wrong(measured):
    bad = (Verdict.FAIL, Verdict.UNDECIDED)
    return [each.explain() for each in measured if each.verdict in bad]


@pytest.mark.parametrize("make", [plain, ends_in_float, per_tensor, dynamic])
def test_a_right_file_passes_whatever_made_it(small, tmp_path, make):
    assert wrong(judged(small, tmp_path / "made.onnx", make).values()) == []


def test_ranges_that_are_computed_at_run_time_are_said(small, tmp_path):
    found = judged(small, tmp_path / "made.onnx", dynamic)
    assert "dynamically quantized" in found["quantized_zero_points"].reason
    assert found["quantized_weights"].verdict is Verdict.PASS


def test_rows_that_depend_on_each_other_are_advice(small, tmp_path):
    path = tmp_path / "made.onnx"
    dynamic(small, path)
    case = Case(replace(small, external={"onnx-int8": path}), "onnx-int8")
    found = rows(case)
    assert [m for m in found if m.verdict is Verdict.FAIL] == []
    (told, *_) = [m for m in found if m.verdict is Verdict.UNDECIDED]
    assert (told.concerns, told.reason.split(":")[0]) == (Concern.ADVICE, "dynamically quantized")


def test_an_external_file_is_timed_as_it_is_judged(small, tmp_path):
    """Without VNNI with an option of ONNX Runtime, which the process that times must set too."""
    path = tmp_path / "made.onnx"
    plain(small, path)
    case = Case(replace(small, external={"onnx-int8": path}), "onnx-int8")
    times = timed(case.workspace, [case.artifact], budget=0.1)
    wanted = case.workspace.runner("onnx-int8", threads=1).run(latency_inputs(case, 32))
    (given,) = times.outputs[32]
    assert wanted
    assert all((given[name] == each).all() for name, each in wanted.items())


def test_sums_that_overflow_on_other_cpus_are_advice_of_an_external_file(small, tmp_path):
    path = tmp_path / "made.onnx"
    quantized(small, path, per_channel=True)
    case = Case(replace(small, external={"onnx-int8": path}), "onnx-int8")
    found = saturation(case)
    assert {m.verdict for m in found} <= {Verdict.PASS, Verdict.UNDECIDED}
    said = [m for m in found if m.verdict is Verdict.UNDECIDED]
    assert all(m.reason.startswith(("right on this CPU", "right as it is run here")) for m in said)
    assert {m.concerns for m in said} == {Concern.ADVICE}


def test_an_input_that_was_calibrated_on_other_preprocessing_is_named_with_its_scale(
    small, tmp_path
):
    found = judged(small, tmp_path / "made.onnx", on_scaled_pixels)["ranges_fit"]
    assert (found.verdict, found.layer) == (Verdict.FAIL, "x")
    assert "the input's quantization: scale 0.0039" in found.reason
    assert "% of what it is given lies beyond; calibrated on other preprocessing" in found.reason


def test_a_relu_that_is_missing_is_named(small, tmp_path):
    found = judged(small, tmp_path / "made.onnx", without_relu)["layer_sqnr"]
    assert (found.verdict, found.layer) == (Verdict.FAIL, "r")
    assert found.reason.startswith("its ReLU is missing")


def a_kernel_of_another_training(workspace, path):
    from onnx import load, numpy_helper, save

    quantized(workspace, path, per_channel=True)
    model = load(path)
    tensor = next(t for t in model.graph.initializer if list(t.dims) == [4, 4, 3, 3])
    whole = numpy_helper.to_array(tensor)
    drawn = np.random.RandomState(0).normal(1, 0.2, whole.shape)
    noisy = np.clip(np.rint(whole * drawn), -127, 127).astype(whole.dtype)
    tensor.CopyFrom(numpy_helper.from_array(noisy, tensor.name))
    save(model, path)


def test_a_kernel_that_is_another_one_fails_with_its_name(small, tmp_path):
    found = judged(small, tmp_path / "made.onnx", a_kernel_of_another_training)["quantized_weights"]
    assert found.verdict is Verdict.FAIL
    assert found.layer in ("b", "s")
    assert "of the kernel of b differ" in found.reason


MERGED = {
    "two heads, each its own average of one tensor": [
        conv("a", "x", activation="relu"),
        call("GlobalAveragePooling2D", "one", "a"),
        call("GlobalAveragePooling2D", "two", "a"),
        call("Dense", "y", "one", units=4),
        call("Dense", "z", "two", units=3, activation="softmax"),
    ],
    "a factor ahead of a convolution": [
        call("Rescaling", "scaled", "x", scale=1 / 255, offset=0.0),
        conv("a", "scaled", padding="valid", activation="relu"),
        conv("y", "a"),
    ],
    "a gate of hard sigmoid": [
        conv("a", "x"),
        call("GlobalAveragePooling2D", "g", "a", keepdims=True),
        conv("b", "g", kernel_size=[1, 1], activation="hard_sigmoid"),
        call("Multiply", "m", "a", "b"),
        conv("y", "m"),
    ],
}
"""Models of which converters merge layers, and what is merged."""


@pytest.mark.parametrize("name", MERGED)
def test_a_litert_file_with_merged_layers_passes(reference, tmp_path, name):
    pytest.importorskip("ai_edge_litert")
    ends = ["y", "z"] if "heads" in name else ["y"]
    described = functional((6, 6, 3), MERGED[name], ends)
    workspace = all_kinds.workspace(reference, tmp_path, name, described)
    found = all_kinds.judged(workspace, "litert-int8")
    assert wrong(m for m in found if m.name != "agreement") == []


FILES = {
    "reshape": ("reshape.keras", "g12.npz", "", "litert-int8"),
    "multi": ("multi.keras", "g16.npz", "", "litert-int8"),
    "multi in ONNX": ("multi.keras", "g16.npz", "", "onnx-int8"),
    "se": ("se.keras", "g16.npz", "", "litert-int8"),
    "se in ONNX": ("se.keras", "g16.npz", "", "onnx-int8"),
    "inception": ("inception.keras", "g16.npz", "", "litert-int8"),
    "inception in ONNX": ("inception.keras", "g16.npz", "", "onnx-int8"),
    "mobile": ("mobile.keras", "gratings.npz", "", "litert-int8"),
    "plain": ("base.h5", "gratings.npz", "q_plain.onnx", "onnx-int8"),
    "first in float": ("base.h5", "gratings.npz", "q_firstfloat.onnx", "onnx-int8"),
    "dynamic": ("base.h5", "gratings.npz", "q_dynamic.onnx", "onnx-int8"),
    "16 bits": ("base.h5", "gratings.npz", "l_16x8.tflite", "litert-int8"),
    "scaled": ("base.h5", "gratings.npz", "q_scaled.onnx", "onnx-int8"),
    "no relu": ("base.h5", "gratings.npz", "q_symm_norelu.onnx", "onnx-int8"),
}
NAMED = {
    "scaled": ("ranges_fit", "the input's quantization: scale 0.0039216, zero point 0"),
    "no relu": ("layer_sqnr", "its ReLU is missing"),
}
"""Wrong files, and what must be said of them."""


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", FILES)
def test_a_published_kind_of_file_is_judged_for_what_it_is(reference, tmp_path, name):
    model, data, external, artifact = FILES[name]
    folder = mlperf_tiny.folder() / "cases"
    if not all((folder / each).is_file() for each in (model, data, external or model)):
        pytest.skip(f"no {external or model} in {folder}")
    others = {artifact: folder / external} if external else {}
    subject = find(str(folder / model), folder / data)
    workspace = Workspace(subject, reference, Store(tmp_path), threads=1, external=others)
    chosen = [each for each in checks(artifact) if each.name in WHITE_BOX]
    found = [m for check in chosen for m in check.measure(Case(workspace, artifact))]
    if name not in NAMED:
        assert wrong(found) == []
        return
    quantity, words = NAMED[name]
    (named,) = [each for each in found if each.name == quantity]
    assert named.verdict is Verdict.FAIL
    assert words in named.reason
