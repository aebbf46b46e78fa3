"""Every scale, zero point, int8 weight and bias is recomputed; one that differs names its layer."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from conversion.plugin.options import subjects
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.quantity import About
from conversion.core.settings import (
    CalibrationChoice,
    OnnxScheme,
    Settings,
    TorchScheme,
)
from conversion.core.spec import Layer
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.quantized import quantized_parameters
from conversion.proof.metrics import folding, int8
from conversion.proof.metrics.int8 import Steps
from conversion.proof.metrics.quantized import Pair, parameters
from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

f32 = np.float32
ABOUT = About("synthetic", "onnx-int8")
TYPES = [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")]
METHODS = ("minmax", "entropy", "percentile")
SCHEMES = [
    OnnxScheme(activations, weights, per_channel, form, method)
    for (activations, weights), per_channel, form, method in product(
        TYPES, (True, False), ("qoperator", "qdq"), METHODS
    )
]
ENGINES = [
    TorchScheme(engine, per_channel, method, reduce_range=reduce_range)
    for engine, per_channel, method, reduce_range in product(
        ("onednn", "x86", "fbgemm", "qnnpack"),
        (True, False),
        ("histogram", "minmax"),
        (True, False),
    )
    if (engine, reduce_range) != ("qnnpack", False)  # it takes all eight bits either way
]
QDQ = OnnxScheme(format="qdq")
GROUPS = {  # kernel's shape, which no other layer has, to its layer and the last of its group
    (16, 3, 3, 3): ("conv2d", "activation"),
    (32, 16, 3, 3): ("conv2d_3", "activation_3"),
    (32, 32, 3, 3): ("conv2d_4", "batch_normalization_4"),
    (32, 16, 1, 1): ("conv2d_5", "conv2d_5"),
    (64, 32, 3, 3): ("conv2d_6", "activation_5"),
    (64, 64, 3, 3): ("conv2d_7", "batch_normalization_6"),
    (64, 32, 1, 1): ("conv2d_8", "conv2d_8"),
    (64, 10): ("dense", "dense"),
}


def pytest_generate_tests(metafunc):
    """Every day on the first subject: this check judges the default files of each in the suite."""
    if "subject" in metafunc.fixturenames:
        first, *others = subjects(metafunc.config)
        slow = [pytest.param(each, marks=pytest.mark.slow) for each in others]
        metafunc.parametrize("subject", [first, *slow])


# formulas, against numbers worked out by hand


@pytest.mark.parametrize(
    ("low", "high", "dtype", "scale", "zero"),
    [
        (0.0, 255.0, "uint8", 1.0, 0),
        (-1.0, 3.0, "uint8", 4 / 255, 64),  # 63.75
        (-1.0, 3.0, "int8", 4 / 255, -64),  # -128 + 63.75
        (0.5, 2.0, "uint8", 2 / 255, 0),  # 0 belongs to every range
        (-2.0, -1.0, "uint8", 2 / 255, 255),
        (-2.0, -1.0, "int8", 2 / 255, 127),
        (-0.5, 254.5, "uint8", 1.0, 0),  # half to even
        (-1.5, 253.5, "uint8", 1.0, 2),
        (0.0, 0.0, "int8", 1.0, 0),
    ],
)
def test_a_range_gives_its_scale_and_zero_point(low, high, dtype, scale, zero):
    found = int8.of_range(low, high, dtype)
    assert (found.scale, found.scale.dtype) == (f32(scale), f32)
    assert (found.zero_point, found.zero_point.dtype) == (zero, dtype)


@pytest.mark.parametrize(
    ("dtype", "symmetric", "scale", "zero", "whole"),
    [
        ("int8", True, 1 / 127, 0, [-127, 64, 0]),  # 63.5 to even
        ("uint8", True, 2 / 255, 128, [1, 192, 128]),  # float32 rounds 2 / 255 up: 128 - 127.49999
        ("uint8", False, 1.5 / 255, 170, [0, 255, 170]),
    ],
)
def test_a_kernel_gives_its_scale_zero_point_and_integers(dtype, symmetric, scale, zero, whole):
    kernel = np.array([-1.0, 0.5, 0.0], f32)
    found = int8.of_weights(kernel, dtype, None, symmetric)
    assert (found.scale, found.zero_point) == (f32(scale), zero)
    integers = int8.integers(kernel, found)
    assert (integers.tolist(), integers.dtype) == (whole, dtype)


@pytest.mark.parametrize(("axis", "largest"), [(0, [2.0, 6.0]), (1, [4.0, 1.0, 6.0])])
def test_channels_lie_along_the_axis(axis, largest):
    kernel = np.array([[-2.0, 1.0, 0.5], [4.0, 0.0, -6.0]], f32)
    found = int8.of_weights(kernel, "int8", axis)
    assert found.scale.tolist() == [f32(each / 127) for each in largest]
    assert found.zero_point.tolist() == [0] * len(largest)
    whole = int8.integers(kernel, found, axis)
    assert np.abs(whole).max(axis=1 - axis).tolist() == [127] * len(largest)


def test_a_channel_of_zeros_has_the_scale_1():
    found = int8.of_weights(np.zeros((2, 3), f32), "int8", 0)
    assert (found.scale.tolist(), found.zero_point.tolist()) == ([1.0, 1.0], [0, 0])


def test_integers_are_clipped_to_their_dtype():
    steps = Steps(np.array(1.0, f32), np.array(0, np.int8))
    assert int8.integers(np.array([1e9, -1e9, 2.5], f32), steps).tolist() == [127, -128, 2]


def test_a_bias_is_divided_by_the_product_of_two_scales_rounded_to_float32():
    scale = int8.bias_scale(np.array(0.1, f32), np.array([0.2, 1e-12], f32))
    assert scale.dtype == f32
    assert scale.tolist() == [f32(f32(0.1) * f32(0.2)), f32(f32(0.1) * f32(1e-12))]
    whole = int8.bias_integers(np.array([0.625, -1.0], f32), np.array([0.25, 1e-13], f32))
    assert whole.tolist() == [2, -(2**31)]  # 2.5 to even; clipped


def test_a_scale_too_small_for_the_bias_is_raised():
    kernel = Steps(np.array([1e-12, 0.5], f32), np.zeros(2, np.int8))
    found = int8.raised(kernel, np.array(0.5, f32), np.array([1.0, 1.0], f32))
    # 1.0001 * 2 / (2 ** 32 - 2) is the least scale of the bias
    assert found.scale[0] == pytest.approx(2 * 1.0001 * 2 / (2**32 - 2), rel=1e-6)
    assert found.scale[1] == 0.5
    assert int8.raised(kernel, np.array(0.5, f32), np.zeros(2, f32)).scale.tolist() == [
        f32(1e-12),
        0.5,
    ]


def test_torch_spreads_the_largest_weight_over_127_and_a_half_steps():
    kernel = np.array([[-2.0, 1.0], [0.0, 0.0]], f32)
    eps = np.finfo(f32).eps
    assert int8.torch_scale(kernel, True, False).tolist() == [f32(f32(2.0) / f32(127.5)), eps]
    assert int8.torch_scale(kernel, False, False) == f32(f32(2.0) / f32(127.5))
    assert int8.torch_scale(kernel, False, True) == f32(f32(2.0) / f32(63))  # seven bits
    whole = int8.torch_integers(np.array([[-127.5, 0.5, 1.5, 300.0]], f32), np.array(1.0, f32))
    assert whole.tolist() == [[-128, 0, 2, 127]]  # half to even; clipped


@pytest.mark.parametrize("largest", [1e-3, 0.1, 0.3, 1.0, 7.7])
def test_torchs_seven_bits_end_at_63(largest):
    kernel = np.array([[largest, -largest, largest / 4]], f32)
    whole = int8.torch_integers(kernel, int8.torch_scale(kernel, True, seven_bits=True))
    assert whole.tolist() == [[63, -63, 16]]  # 15.75


def test_torch_multiplies_with_the_inverse_where_onnx_runtime_divides():
    weight, scale = np.array([1.0619546], f32), np.array(0.013191982, f32)
    assert int8.torch_integers(weight, scale).tolist() == [80]
    assert int8.integers(weight, Steps(scale, np.array(0, np.int8))).tolist() == [81]


NORM = Layer(
    "bn",
    "BatchNormalization",
    {"epsilon": 1.0},
    ("c",),
    {
        role: np.array(value, f32)
        for role, value in {
            "gamma": [2.0, -1.0],
            "beta": [4.0, 0.0],
            "moving_mean": [0.5, 3.0],
            "moving_variance": [3.0, 8.0],
        }.items()
    },
    (1, 1, 2),
)


def test_folding_by_hand():
    rest = folding.identity(np.array([1.0, 1.0], f32)).then(folding.affine(NORM))
    # gamma / sqrt(variance + eps) is 1 and -1/3
    assert rest.factor == pytest.approx(np.array([1.0, -1 / 3]), rel=1e-15)
    assert rest.offset == pytest.approx(np.array([4.5, 2 / 3]), rel=1e-15)
    assert rest.terms == pytest.approx(np.array([1.0 + 4.0 + 0.5, 1 / 3 + 1.0]), rel=1e-15)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans())
def test_folding_in_float32_is_pytorchs_to_the_bit(seed, channels, biased):
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    random = np.random.default_rng(seed)
    kernel, *parts = (
        random.normal(size=shape).astype(f32) for shape in ((channels, 3, 2, 2), *[channels] * 4)
    )
    bias, mean, gamma, beta = parts
    variance = random.uniform(1e-4, 10, channels).astype(f32)
    tensors = [torch.from_numpy(a) for a in (mean, variance, gamma, beta)]
    with torch.inference_mode():
        wanted = fuse_conv_bn_weights(
            torch.from_numpy(kernel),
            torch.from_numpy(bias) if biased else None,
            *tensors[:2],
            1e-3,
            *tensors[2:],
        )
    weights = dict(
        zip(
            ("moving_mean", "moving_variance", "gamma", "beta"),
            (mean, variance, gamma, beta),
            strict=True,
        )
    )
    layer = replace(NORM, config={"epsilon": 1e-3}, weights=weights)
    found = folding.folded_in_float32(kernel, bias if biased else None, layer)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.tobytes() == theirs.numpy().tobytes()


# measurements


def pair(layer, found, wanted, part="weights", **more):
    return Pair(part, layer, f"the kernel of {layer}", np.array(found), np.array(wanted), **more)


def measured(*pairs, unchecked=()):
    made = parameters(ABOUT, ["a", "b", "c"], pairs, unchecked)
    return {each.name.removeprefix("quantized_"): each for each in made}


def test_the_first_layer_of_the_spec_is_named_whatever_is_found_first():
    found = measured(pair("c", [1, 2], [1, 3]), pair("a", [1], [1]), pair("b", [5, 5], [6, 6]))
    weights = found["weights"]
    assert (weights.verdict, weights.layer, weights.value, weights.n) == ("fail", "b", 3, 5)
    assert weights.reason.startswith("2 of 2 values of the kernel of b differ, the first at 0 is 5")
    assert [row["layer"] for row in weights.rows] == ["b", "c"]


def test_nothing_compared_is_no_pass():
    found = measured(pair("a", [1], [1]))
    assert found["weights"].verdict == "pass"
    assert {found[part].verdict for part in ("scales", "zero_points")} == {"fail"}
    assert found["biases"].verdict == "skipped"


def test_what_nothing_accounts_for_fails():
    found = measured(unchecked=["odd_scale"])["unchecked"]
    assert (found.verdict, found.value, found.reason) == ("fail", 1, "odd_scale")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (np.float32(np.nextafter(f32(0.1), f32(1))), f32(0.1)),
        (np.float32(np.nan), f32(0.1)),
        (np.float32(np.inf), f32(0.1)),
        (np.int8(1), np.uint8(1)),
        (np.zeros(3, f32), np.zeros(4, f32)),
        (np.zeros(0, f32), np.zeros((), f32)),
    ],
    ids=["one ulp", "nan", "infinite", "another dtype", "another shape", "nothing"],
)
def test_a_scale_that_is_not_the_same_differs(found, wanted):
    assert measured(pair("a", found, wanted, "scales"))["scales"].verdict == "fail"


def test_fifty_rows_at_most():
    rows = measured(*(pair("a", [0], [1]) for _ in range(60)))["weights"].rows
    assert len(rows) == 50


# real files: all of it is right


def everyday(scheme):
    return scheme.method == "minmax" or replace(scheme, method="minmax") == OnnxScheme()


def marked(schemes, chosen):
    for scheme in schemes:
        yield pytest.param(
            scheme, id=scheme.label, marks=() if chosen(scheme) else (pytest.mark.slow,)
        )


def case_of(workspace, scheme):
    part = "onnx" if isinstance(scheme, OnnxScheme) else "torch"
    chosen = replace(workspace.settings, **{part: scheme})
    return Case(workspace.with_settings(chosen), f"{part}-int8")


def all_pass(measurements):
    assert [m.explain() for m in measurements if m.verdict != "pass"] == []
    found = {m.name: m for m in measurements}
    assert found["quantized_weights"].n >= 77_360
    assert found["quantized_weights_seen"].reason == "100.00% by rule"


@pytest.mark.one_in(5)
@pytest.mark.parametrize("scheme", list(marked(SCHEMES, everyday)))
def test_every_onnx_scheme_is_recomputed_exactly(workspaces, subject, scheme):
    all_pass(quantized_parameters(case_of(workspaces(subject), scheme)))


def least_alike(scheme):
    """The default but for its steps, the coarsest that there are: `tests/suite` has the default."""
    return scheme == TorchScheme(per_channel=False, reduce_range=False)


@pytest.mark.parametrize("scheme", list(marked(ENGINES, least_alike)))
def test_every_torch_engine_is_recomputed_exactly(workspaces, subject, scheme):
    import torch

    if scheme.engine not in torch.backends.quantized.supported_engines:
        pytest.skip(f"this build of PyTorch has no engine {scheme.engine}")
    all_pass(quantized_parameters(case_of(workspaces(subject), scheme)))


# injected changes


@pytest.fixture(scope="module")
def good(workspaces):
    """Both formats of the embedded subject, and its PyTorch file, made once."""
    workspace = workspaces("embedded")
    cases = {s.format: case_of(workspace, s) for s in (OnnxScheme(), QDQ)}
    cases["torch"] = Case(workspace, "torch-int8")
    cases["torch-tensor"] = case_of(workspace, TorchScheme(per_channel=False))
    for case in cases.values():
        all_pass(quantized_parameters(case))
    return cases


@pytest.fixture
def inject(good, tmp_path):
    """Changes a copy of a good file and measures it."""

    def injected(kind, change):
        from conversion.proof.faults import injection as injecting

        case = good[kind]
        put = injecting.in_state if case.name == "torch-int8" else in_onnx
        wrong = put(change, case.name)(case.workspace, tmp_path)
        found = quantized_parameters(Case(wrong, case.name))
        return {each.name.removeprefix("quantized_"): each for each in found}

    return injected


def in_onnx(change, name):
    from conversion.proof.faults import injection

    return injection.in_onnx(lambda graph: change(graph.model), name)


def initializers(model):
    from onnx import numpy_helper

    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def write(model, name, value):
    from onnx import numpy_helper

    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value), name))


def bump(value, index=0):
    """One element changed by the least there is."""
    flat = value.copy().reshape(-1)
    if flat.dtype.kind == "f":
        flat[index] = np.nextafter(flat[index], flat.dtype.type(np.inf))
    else:
        flat[index] += 1 if flat[index] < np.iinfo(flat.dtype).max else -1
    return flat.reshape(value.shape)


def places(model, shape):
    """Names that belong to the operator whose kernel has a shape, by their part."""
    stored = initializers(model)
    nodes = {o: n for n in model.graph.node for o in n.output}
    readers = {i: n for n in model.graph.node for i in n.input}
    for node in model.graph.node:
        if node.op_type in ("QLinearConv", "QGemm") and stored[node.input[3]].shape == shape:
            ends = (6, 7, 8) if node.op_type == "QLinearConv" else (7, 8, 6)
            parts = ("kernel_scale", "kernel_zero", "scale", "zero", "bias", "kernel")
            places = (4, 5, *ends, 3)
            return {part: node.input[i] for part, i in zip(parts, places, strict=True)}
        if node.op_type not in ("Conv", "Gemm"):
            continue
        kernel, bias = (nodes[node.input[i]] for i in (1, 2))
        if stored[kernel.input[0]].shape == shape:
            out = readers[node.output[0]]
            return {
                "kernel": kernel.input[0],
                "kernel_scale": kernel.input[1],
                "kernel_zero": kernel.input[2],
                "bias": bias.input[0],
                "bias_scale": bias.input[1],
                "scale": out.input[1],
                "zero": out.input[2],
                "kernel_node": kernel,
            }
    raise AssertionError(shape)


PARTS = {
    "scale": "scales",
    "zero": "zero_points",
    "kernel_scale": "scales",
    "kernel_zero": "zero_points",
    "kernel": "weights",
    "bias": "biases",
}


@pytest.mark.one_in(5)
@pytest.mark.parametrize("shape", GROUPS, ids=[layer for layer, _ in GROUPS.values()])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", ["qoperator", "qdq"])
def test_the_least_change_of_one_value_is_seen_and_named(inject, kind, part, shape):
    def change(model):
        name = places(model, shape)[part]
        write(model, name, bump(initializers(model)[name], 3 if "kernel" in part else 0))

    layer, group = GROUPS[shape]
    found = inject(kind, change)
    failed = {name for name, m in found.items() if m.verdict == "fail"}
    assert failed == {PARTS[part]}
    seen = found[PARTS[part]]
    assert seen.layer == group
    if "kernel" in part or part == "bias":
        assert f"of {layer} " in seen.reason
        assert seen.value == 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["qoperator", "qdq"]), st.integers(0, 10**6), st.floats(0, 1))
def test_a_change_anywhere_in_an_onnx_file_is_seen(inject, kind, number, where):
    def change(model):
        stored = {n: a for n, a in initializers(model).items() if a.dtype != np.int64}
        name = sorted(stored)[number % len(stored)]
        write(model, name, bump(stored[name], int(where * (stored[name].size - 1))))

    assert "fail" in {m.verdict for m in inject(kind, change).values()}


def scales_of_two_channels_swapped(model):
    name = places(model, (64, 64, 3, 3))["kernel_scale"]
    scale = initializers(model)[name].copy()
    scale[:2] = scale[1::-1]
    write(model, name, scale)


def bias_halved(model):
    name = places(model, (64, 32, 1, 1))["bias"]
    write(model, name, initializers(model)[name] // 2)


def kernel_not_rounded_but_cut(model):
    name = places(model, (32, 32, 3, 3))["kernel"]
    write(model, name, initializers(model)[name] // 2 * 2)


def zero_point_of_another_dtype(model):
    name = places(model, (32, 16, 1, 1))["zero"]
    write(model, name, initializers(model)[name].astype(np.int8))


@pytest.mark.parametrize(
    ("change", "part", "layer"),
    [
        (scales_of_two_channels_swapped, "scales", "batch_normalization_6"),
        (bias_halved, "biases", "conv2d_8"),
        (kernel_not_rounded_but_cut, "weights", "batch_normalization_4"),
        (zero_point_of_another_dtype, "zero_points", "conv2d_5"),
    ],
)
@pytest.mark.parametrize("kind", ["qoperator", "qdq"])
def test_what_a_quantizer_may_get_wrong_is_seen(inject, kind, change, part, layer):
    found = inject(kind, change)[part]
    assert (found.verdict, found.layer) == ("fail", layer)


def test_scales_along_the_wrong_axis_of_a_square_kernel_are_seen(inject):
    def change(model):
        node = places(model, (64, 64, 3, 3))["kernel_node"]
        next(a for a in node.attribute if a.name == "axis").i = 1

    found = inject("qdq", change)["scales"]
    assert (found.verdict, found.layer) == ("fail", "batch_normalization_6")
    assert found.reason == "scale of the kernel of conv2d_7 by axis is 1, expected 0"


def test_a_reader_that_disagrees_with_the_writer_is_seen(inject):
    def change(model):
        from onnx import numpy_helper

        out = places(model, (32, 16, 3, 3))
        other = numpy_helper.from_array(np.array(1, np.uint8), "other")
        model.graph.initializer.append(other)
        node = next(
            n
            for n in model.graph.node
            if n.op_type == "DequantizeLinear" and out["zero"] in n.input
        )
        node.input[2] = "other"

    found = inject("qdq", change)["zero_points"]
    assert (found.verdict, found.layer, found.value) == ("fail", "activation_3", 1)
    assert "as DequantizeLinear reads it" in found.reason


def test_a_parameter_that_belongs_to_nothing_is_not_passed_over(inject):
    def change(model):
        from onnx import numpy_helper

        model.graph.initializer.append(numpy_helper.from_array(np.ones((2, 2), np.int8), "left"))

    found = inject("qoperator", change)["unchecked"]
    assert (found.verdict, found.reason) == ("fail", "left")


def test_a_float_graph_passed_off_as_int8_is_seen(good, inject):
    def change(model):
        import onnx

        return onnx.load(good["qoperator"].workspace.artifact("onnx-prepared").path)

    found = inject("qoperator", change)
    assert {found[part].verdict for part in ("scales", "zero_points", "weights")} == {"fail"}
    assert found["weights"].layer == "batch_normalization"
    assert "float32 (16, 3, 3, 3), expected int8" in found["weights"].reason


def test_a_weight_off_by_one_percent_in_the_float_graph_is_seen(good, tmp_path):
    def change(model):
        name = next(n for n, a in initializers(model).items() if a.shape == (64, 64, 3, 3))
        kernel = initializers(model)[name].copy()
        kernel[5, 7, 1, 1] *= f32(1.01)
        write(model, name, kernel)

    workspace = good["qoperator"].workspace
    wrong = in_onnx(change, "onnx-prepared")(workspace, tmp_path)
    kept = {name: workspace.artifact(name) for name in ("onnx-ranges", "onnx-int8")}
    wrong = wrong.injected(Store(tmp_path / "kept"), kept)
    found = {m.name: m for m in quantized_parameters(Case(wrong, "onnx-int8"))}
    source = found["quantized_source_folded"]
    assert (source.verdict, source.layer) == ("fail", "batch_normalization_6")
    assert "1 of 36864 values of the kernel of conv2d_7" in source.reason


@pytest.mark.parametrize("per_channel", [True, False], ids=["channel", "tensor"])
@pytest.mark.parametrize("form", ["qoperator", "qdq"])
def test_a_kernel_too_small_for_its_bias_is_recomputed_exactly(good, tmp_path, form, per_channel):
    import onnx

    def change(model):
        name = next(n for n, a in initializers(model).items() if a.shape == (64, 32, 1, 1))
        kernel = initializers(model)[name].copy()
        kernel[: 1 if per_channel else 64] *= f32(1e-12)
        write(model, name, kernel)

    case = case_of(good["qoperator"].workspace, OnnxScheme(format=form, per_channel=per_channel))
    ranges = {"onnx-ranges": case.workspace.artifact("onnx-ranges")}
    tiny = in_onnx(change, "onnx-prepared")(case.workspace, tmp_path)
    tiny = tiny.injected(Store(tmp_path / "kept"), ranges)  # what it was calibrated with before
    model = onnx.load(tiny.artifact("onnx-int8").path)
    scale = initializers(model)[places(model, (64, 32, 1, 1))["kernel_scale"]].reshape(-1)[0]
    assert 0 < scale < 1e-6
    assert np.abs(initializers(model)[places(model, (64, 32, 1, 1))["kernel"]][0]).max() == 0
    found = {m.name: m for m in quantized_parameters(Case(tiny, "onnx-int8"))}
    exact = ("scales", "zero_points", "weights", "biases", "unchecked")
    assert {found[f"quantized_{part}"].verdict for part in exact} == {"pass"}
    assert found["quantized_source_equal_spec"].layer == "conv2d_8"


def rebuilt(stored, whole=None, scale=None, zero=None):
    """A quantized tensor with parts of it exchanged."""
    import torch

    if stored.qscheme() == torch.per_tensor_affine:
        return torch._make_per_tensor_quantized_tensor(
            stored.int_repr() if whole is None else whole,
            stored.q_scale() if scale is None else float(scale),
            stored.q_zero_point() if zero is None else int(zero),
        )
    return torch._make_per_channel_quantized_tensor(
        stored.int_repr() if whole is None else whole,
        stored.q_per_channel_scales() if scale is None else scale,
        stored.q_per_channel_zero_points() if zero is None else zero,
        stored.q_per_channel_axis(),
    )


def exchange(state, layer, what):
    """The least change of a layer's parameters in a PyTorch state."""
    import torch

    def of(array):
        return torch.from_numpy(bump(np.atleast_1d(array.detach().numpy()))).reshape(array.shape)

    prefix = f"body.{layer}"
    if what in ("scale", "zero_point"):
        state[f"{prefix}.{what}"] = of(state[f"{prefix}.{what}"])
        return
    packed = f"{prefix}._packed_params._packed_params"
    stored, bias = state.get(packed) or (state[f"{prefix}.weight"], state[f"{prefix}.bias"])
    if what == "bias":
        bias = of(bias)
    elif what == "weight":
        stored = rebuilt(stored, whole=torch.from_numpy(bump(stored.int_repr().numpy(), 4)))
    elif stored.qscheme() == torch.per_tensor_affine:
        scale, zero = f32(stored.q_scale()), stored.q_zero_point()
        new = {"kernel_scale": np.nextafter(scale, f32(1)), "kernel_zero": zero + 1}[what]
        stored = rebuilt(stored, **{what.removeprefix("kernel_"): new})
    elif what == "kernel_scale":
        scales = bump(stored.q_per_channel_scales().numpy().astype(f32))
        stored = rebuilt(stored, scale=torch.from_numpy(scales.astype(np.float64)))
    else:
        stored = rebuilt(stored, zero=of(stored.q_per_channel_zero_points()))
    if packed in state:
        state[packed] = (stored, bias)
    else:
        state[f"{prefix}.weight"], state[f"{prefix}.bias"] = stored, bias


TORCH_PARTS = {
    "scale": "scales",
    "zero_point": "zero_points",
    "kernel_scale": "scales",
    "kernel_zero": "zero_points",
    "weight": "weights",
    "bias": "biases",
}


@pytest.mark.one_in(5)
@pytest.mark.parametrize("layer", ["conv2d", "conv2d_2", "conv2d_5", "dense"])
@pytest.mark.parametrize("what", TORCH_PARTS)
@pytest.mark.parametrize("kind", ["torch", "torch-tensor"])
def test_the_least_change_in_a_torch_file_is_seen_and_named(inject, kind, what, layer):
    found = inject(kind, lambda state: exchange(state, layer, what))
    failed = {name for name, m in found.items() if m.verdict == "fail"}
    assert failed == {TORCH_PARTS[what]}
    wanted = {"conv2d": "activation", "conv2d_2": "batch_normalization_2"}.get(layer, layer)
    assert found[TORCH_PARTS[what]].layer == wanted


def test_a_part_of_the_state_that_belongs_to_nothing_is_not_passed_over(inject):
    import torch

    def change(state):
        state["body.odd.scale"] = torch.tensor(1.0)

    found = inject("torch", change)["unchecked"]
    assert (found.verdict, found.reason) == ("fail", "body.odd.scale")


def test_a_kernel_left_in_float_in_a_torch_file_is_seen(inject):
    def change(state):
        state["body.conv2d_5.weight"] = state["body.conv2d_5.weight"].dequantize()

    found = inject("torch", change)["weights"]
    assert (found.verdict, found.layer) == ("fail", "conv2d_5")


# external files


def measured_external(case, path):
    workspace = case.workspace
    other = replace(workspace, external={case.name: path})
    return {
        m.name.removeprefix("quantized_"): m for m in quantized_parameters(Case(other, case.name))
    }


@pytest.mark.parametrize("kind", ["qoperator", "qdq", "torch"])
def test_a_good_file_made_elsewhere_passes_and_says_what_could_not_be_seen(good, kind):
    found = measured_external(good[kind], good[kind].artifact.path)
    assert {m.verdict for m in found.values()} == {"pass"}
    assert "brings no ranges" in found["scales"].reason
    assert found["weights"].n == 77_360


@pytest.mark.one_in(8)
@pytest.mark.parametrize("shape", GROUPS, ids=[layer for layer, _ in GROUPS.values()])
@pytest.mark.parametrize(("part", "named"), [("kernel", "weights"), ("bias", "biases")])
@pytest.mark.parametrize("kind", ["qoperator", "qdq"])
def test_a_weight_of_a_file_made_elsewhere_is_compared_with_the_spec(
    good, tmp_path, kind, part, named, shape
):
    import onnx

    model = onnx.load(good[kind].artifact.path)
    name = places(model, shape)[part]
    write(model, name, bump(initializers(model)[name], 2))
    onnx.save(model, tmp_path / "other.onnx")
    found = measured_external(good[kind], tmp_path / "other.onnx")
    assert {n for n, m in found.items() if m.verdict == "fail"} == {named}
    assert (found[named].layer, found[named].value) == (GROUPS[shape][1], 1)


# other networks


def functional(shape, calls):
    """A configuration; `calls` are (kind, name, names that it reads, settings)."""
    nodes = [_node("InputLayer", "x", [], {"batch_shape": [None, *shape], "dtype": "float32"})]
    nodes += [_node(*call) for call in calls]
    config = {"name": "small", "layers": nodes}
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}
    return {"module": "keras", "class_name": "Model", "config": {**config, **ends}}


def _node(kind, name, reads, chosen):
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": [source, 0, 0]},
        }
        for source in reads
    ]
    call = {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": {}} if reads else None
    return {
        "module": "keras.layers",
        "class_name": kind,
        "name": name,
        "config": {"name": name, **chosen},
        "inbound_nodes": [call] if call else [],
    }


def conv(filters, size=3, **more):
    return {"filters": filters, "kernel_size": [size, size], "padding": "same", **more}


RELU = {"activation": "relu"}
NETWORKS = {
    "depthwise": (
        ("Conv2D", "a", ["x"], conv(8, strides=[2, 2], use_bias=False)),
        ("BatchNormalization", "b", ["a"], {}),
        ("ReLU", "c", ["b"], {"max_value": 6.0}),
        ("DepthwiseConv2D", "d", ["c"], {"kernel_size": [3, 3], "padding": "same"}),
        ("BatchNormalization", "e", ["d"], {"scale": False}),
        ("ReLU", "f", ["e"], {"max_value": 6.0}),
        ("GlobalAveragePooling2D", "p", ["f"], {}),
        ("Dense", "y", ["p"], {"units": 5, "activation": "softmax"}),
    ),
    "residual before the norm": (
        ("Conv2D", "a", ["x"], conv(6)),
        ("BatchNormalization", "b", ["a"], {}),
        ("Activation", "c", ["b"], RELU),
        ("Conv2D", "d", ["c"], conv(6)),
        ("Add", "s", ["a", "d"], {}),
        ("BatchNormalization", "e", ["s"], {}),
        ("Activation", "f", ["e"], RELU),
        ("MaxPooling2D", "m", ["f"], {"pool_size": [2, 2]}),
        ("Flatten", "g", ["m"], {}),
        ("Dense", "y", ["g"], {"units": 4}),
    ),
    "branches": (
        ("Rescaling", "r", ["x"], {"scale": 0.5, "offset": -0.25}),
        ("ZeroPadding2D", "z", ["r"], {"padding": [[1, 1], [1, 1]]}),
        ("Conv2D", "a", ["z"], {"filters": 6, "kernel_size": [3, 3], **RELU}),
        ("Conv2D", "b", ["r"], conv(6, 1, activation="tanh")),
        ("Concatenate", "k", ["a", "b"], {"axis": -1}),
        ("AveragePooling2D", "v", ["k"], {"pool_size": [2, 2], "padding": "same"}),
        ("Conv2D", "c", ["v"], conv(12, 1, activation="sigmoid")),
        ("Multiply", "u", ["v", "c"], {}),
        ("LeakyReLU", "l", ["u"], {"negative_slope": 0.1}),
        ("GlobalMaxPooling2D", "g", ["l"], {}),
        ("Dense", "h", ["g"], {"units": 7, **RELU}),
        ("BatchNormalization", "n", ["h"], {}),
        ("Dense", "y", ["n"], {"units": 3, "activation": "softmax"}),
    ),
    "dense on pixels": (
        ("Dense", "a", ["x"], {"units": 6, **RELU}),
        ("Dense", "b", ["a"], {"units": 6, "use_bias": False}),
        ("BatchNormalization", "n", ["b"], {}),
        ("Flatten", "f", ["n"], {}),
        ("Dense", "y", ["f"], {"units": 3, "activation": "softmax"}),
    ),
}


@pytest.fixture(scope="session")
def small(reference, tmp_path_factory):
    """A small network's workspace, by its name."""
    made = {}

    def workspace(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("small")
            config = functional((8, 8, 3), NETWORKS[name])
            path = folder / "small.h5"
            save_model(reference, path, config, seed=3)
            random = np.random.RandomState(0)
            train = Dataset(random.normal(0.5, 1.0, (60, 8, 8, 3)).astype(f32), None, "made")
            subject, chosen = (
                Subject("small", path, read_spec(path), train=train),
                Settings(calibration=CalibrationChoice(60)),
            )
            made[name] = Workspace(subject, reference, Store(folder / "store"), chosen)
        return made[name]

    return workspace


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "scheme",
    list(
        marked(
            [s for s in SCHEMES if s.method == "minmax"],
            lambda s: s in (OnnxScheme(), QDQ),
        )
    ),
)
def test_other_networks_are_recomputed_exactly(small, name, scheme):
    found = quantized_parameters(case_of(small(name), scheme))
    assert [m.explain() for m in found if m.verdict not in ("pass", "skipped")] == []


@pytest.mark.parametrize("name", NETWORKS)
def test_other_networks_are_recomputed_exactly_in_torch(small, name):
    found = quantized_parameters(Case(small(name), "torch-int8"))
    assert [m.explain() for m in found if m.verdict != "pass"] == []
