"""PyTorch int8 of every kind of layer: a right file passes, and each changed parameter is named."""

import json
from dataclasses import replace

import more_models
import pytest
from small_models import artifact, functional, images, node
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.measurement import Verdict
from conversion.core.settings import CalibrationChoice, Settings, TorchScheme
from conversion.proof.checks import checks
from conversion.proof.checks.case import Case
from conversion.proof.metrics import quantized
from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

LOOKED_AT = ("integer-weights", "integer-kernels", "quantized-parameters", "ranges")
FIRST = {"data_format": "channels_first"}
RELU = {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "inner"}}


def layer(kind, name, *reads, **settings):
    return (kind, name, list(reads), settings)


def conv(name, *reads, **settings):
    usual = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}
    return layer("Conv2D", name, *reads, **{**usual, **settings})


def windows(kind, name, *reads, **settings):
    return layer(
        kind, name, *reads, **{"filters": 5, "kernel_size": 3, "padding": "same"} | settings
    )


def norm(name, *reads, **settings):
    return layer("BatchNormalization", name, *reads, **settings)


def sequence(*calls):
    """Calls that read `r`, twelve steps of twelve channels, and end in `m`."""
    first = [conv("a", "x"), layer("Reshape", "r", "a", target_shape=[12, 12])]
    return [*first, *calls, layer("Dense", "y", "m", units=3)]


MODELS = {
    **more_models.MODELS,
    "conv, norm, relu": [conv("a", "x"), norm("n", "a"), layer("ReLU", "y", "n")],
    "no bias, norm": [conv("a", "x", use_bias=False), norm("n", "a"), conv("y", "n")],
    "no bias": [conv("a", "x", use_bias=False), layer("Dense", "y", "a", units=3, use_bias=False)],
    "depthwise, norm": [
        layer("DepthwiseConv2D", "a", "x", kernel_size=[3, 3], depth_multiplier=2),
        norm("n", "a"),
        layer("ReLU", "m", "n", max_value=6.0),
        conv("y", "m"),
    ],
    "separable, norm, relu": [
        windows("SeparableConv2D", "a", "x", depth_multiplier=2),
        norm("n", "a"),
        layer("ReLU", "m", "n"),
        conv("y", "m"),
    ],
    "scores": [
        layer("Flatten", "f", "x"),
        layer("Dense", "y", "f", units=5, activation="softmax"),
    ],
    "separable, sigmoid inside": [
        windows("SeparableConv2D", "a", "x", activation="sigmoid"),
        norm("n", "a"),
        conv("y", "n"),
    ],
    "conv 1d, norm, relu": sequence(
        windows("Conv1D", "c", "r"), norm("n", "c"), layer("ReLU", "m", "n")
    ),
    "causal, norm": sequence(windows("Conv1D", "c", "r", padding="causal"), norm("m", "c")),
    "depthwise 1d, norm": sequence(
        layer("DepthwiseConv1D", "c", "r", kernel_size=3), norm("n", "c"), layer("ReLU", "m", "n")
    ),
    "separable 1d, norm, relu": sequence(
        windows("SeparableConv1D", "c", "r", strides=2), norm("n", "c"), layer("ReLU", "m", "n")
    ),
    "separable 1d, relu inside": sequence(windows("SeparableConv1D", "m", "r", activation="relu")),
    "transposed, norm, relu": [
        windows("Conv2DTranspose", "a", "x", strides=2),
        norm("n", "a"),
        layer("ReLU", "m", "n"),
        conv("y", "m"),
    ],
    "transposed, relu inside": [
        windows("Conv2DTranspose", "a", "x", activation="relu"),
        conv("y", "a"),
    ],
    "channels first": [
        layer("Permute", "r", "x", dims=[3, 1, 2]),
        conv("a", "r", filters=5, **FIRST),
        norm("n", "a", axis=1),
        layer("ReLU", "m", "n"),
        windows("SeparableConv2D", "s", "m", **FIRST),
        norm("o", "s", axis=1),
        layer("GlobalAveragePooling2D", "g", "o", **FIRST),
        layer("Dense", "y", "g", units=3),
    ],
    "channels first, norm of the width": [
        layer("Permute", "r", "x", dims=[3, 1, 2]),
        conv("a", "r", filters=6, use_bias=False, **FIRST),
        norm("n", "a"),
        conv("y", "n", use_bias=False, **FIRST),
    ],
    "channels first, 1d": sequence(
        windows("Conv1D", "c", "r", filters=11, **FIRST),
        norm("n", "c", axis=1),
        layer("ReLU", "m", "n"),
    ),
    "norm of the height": [
        conv("a", "x"),
        norm("n", "a", axis=1),
        layer("ReLU", "m", "n"),
        conv("y", "m"),
    ],
    "relu in place of a name": [
        conv("a", "x"),
        norm("n", "a"),
        layer("Activation", "m", "n", activation=RELU),
        conv("b", "m", activation=RELU),
        norm("o", "b"),
        conv("y", "o"),
    ],
    "relu, relu6": [
        conv("a", "x"),
        layer("ReLU", "r", "a"),
        layer("ReLU", "m", "r", max_value=6.0),
        conv("y", "m"),
    ],
    "relu inside, norm": [conv("a", "x", activation="relu"), norm("n", "a"), conv("y", "n")],
    "linear between": [
        conv("a", "x"),
        layer("Dropout", "d", "a", rate=0.5),
        norm("n", "d"),
        conv("y", "n"),
    ],
    "conv that two read": [
        conv("a", "x"),
        norm("n", "a"),
        layer("Add", "m", "a", "n"),
        conv("y", "m"),
    ],
    "dense, norm": [
        layer("Flatten", "f", "x"),
        layer("Dense", "a", "f", units=7),
        norm("n", "a"),
        layer("Dense", "y", "n", units=3),
    ],
    "sum of three, relu": [
        *(conv(name, "x") for name in "abc"),
        layer("Add", "s", *"abc"),
        layer("ReLU", "m", "s"),
        conv("y", "m"),
    ],
    "sum of unlike sizes": [
        conv("a", "x"),
        layer("GlobalAveragePooling2D", "g", "a", keepdims=True),
        layer("Add", "s", "a", "g"),
        layer("ReLU", "m", "s"),
        conv("y", "m"),
    ],
    "sum of unlike ranks": [
        conv("a", "x"),
        layer("GlobalAveragePooling2D", "g", "a"),
        layer("Add", "s", "a", "g"),
        layer("ReLU", "m", "s"),
        conv("y", "m"),
    ],
    "shared": [
        conv("a", "x", filters=3),
        windows("SeparableConv2D", "m", "a", filters=3),
        conv("y", "m"),
    ],
    "transposed alone": [windows("Conv2DTranspose", "y", "x")],
    "no kernel": [layer("MaxPooling2D", "y", "x", pool_size=[2, 2])],
}
"""Name of the model to its calls; the input is x, and y is the output."""

WEIGHTY = (
    *("PReLU", "LayerNormalization", "GroupNormalization", "Normalization", "Conv2DTranspose"),
    *("SeparableConv2D", "Conv1D", "Conv1DTranspose", "DepthwiseConv1D", "SeparableConv1D", "Dot"),
    *(name for name in MODELS if name not in (*more_models.MODELS, "no kernel")),
)
"""Models with weights of kinds that are not all computed alike."""

GROUPS = {
    "conv, norm, relu": {"a": "y"},
    "no bias, norm": {"a": "n"},
    "depthwise, norm": {"a": "m"},
    "separable, norm, relu": {"a": "m"},
    "separable, sigmoid inside": {"a": "a"},
    "conv 1d, norm, relu": {"c": "m"},
    "causal, norm": {"c": "m"},
    "separable 1d, norm, relu": {"c": "m"},
    "separable 1d, relu inside": {"m": "m"},
    "channels first": {"a": "m", "s": "o"},
    "channels first, norm of the width": {"a": "a"},
    "channels first, 1d": {"c": "m"},
    "norm of the height": {"a": "a"},
    "relu in place of a name": {"a": "m", "b": "b"},
    "relu inside, norm": {"a": "a"},
    "linear between": {"a": "a"},
    "conv that two read": {"a": "a"},
    "dense, norm": {"a": "a"},
}
"""Layer with a kernel to the last one of those that are folded into it."""

IN_FLOAT = {
    "Conv2DTranspose": {"m"},
    "Conv1DTranspose": {"m"},
    "Dot": {"m"},
    "transposed, norm, relu": {"a"},
    "transposed, relu inside": {"a"},
}
"""Layers that multiply, and not in integers; in all other models there are none."""


def shared(config):
    """Layer m is called a second time, on what it gave; y reads that."""
    entries = {each["name"]: each for each in config["config"]["layers"]}
    entries["m"]["inbound_nodes"] += node("Conv2D", "m", ["m"], {})["inbound_nodes"]
    (read,) = entries["y"]["inbound_nodes"][0]["args"]
    read["config"]["keras_history"] = ["m", 1, 0]
    return config


@pytest.fixture(scope="module")
def made(reference, tmp_path_factory):
    """A small model with 100 images to calibrate on and 200 to judge by; each is made once."""
    known = {}

    def build(name, fresh=False, reach=1, **scheme):
        key = (name, reach, *scheme.items())
        if fresh or key not in known:
            folder = tmp_path_factory.mktemp("all-kinds")
            config = functional((6, 6, 3), MODELS[name], ["y"])
            path = folder / "small.keras"
            described = shared(config) if name == "shared" else config
            save_model(reference, path, described)
            test = reach * images((6, 6, 3), 200, 1)
            drawn = {"test": test, "train": images((6, 6, 3), 100, 2)}
            sets = {split: Dataset(values, None, source=split) for split, values in drawn.items()}
            settings = Settings(
                torch=TorchScheme(**{"method": "minmax"} | scheme),
                calibration=CalibrationChoice(100),
            )
            subject = Subject(name, path, read_spec(path), **sets)
            known[key] = Workspace(subject, reference, Store(folder / "store"), settings, threads=1)
        return known[key]

    return build


def measured(workspace, *names):
    """Measurements of the named checks by name."""
    case = Case(workspace, "torch-int8")
    chosen = [each for each in checks("torch-int8") if each.name in names]
    return {found.name: found for check in chosen for found in check.measure(case)}


def all_pass(found, *absent):
    """Every measurement passes, but for parts that the file has none of."""
    assert found
    absent = {"ranges" if part == "ranges" else f"quantized_{part}" for part in absent}
    odd = {m.name for m in found.values() if m.verdict is Verdict.SKIPPED} - absent
    odd |= {m.explain() for m in found.values() if m.verdict in ("fail", "undecided")}
    assert odd == set()


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "name",
    [
        name if name in WEIGHTY else pytest.param(name, marks=pytest.mark.slow)
        for name in MODELS
        if name not in ("transposed alone", "no kernel")
    ],
)
def test_a_right_file_passes(made, name):
    found = measured(made(name), *LOOKED_AT)
    all_pass(found, *(["biases"] if name == "no bias" else []))
    steps = found["integer_multiply_accumulates"].rows
    multiply = [row for row in steps if row["multiply-accumulates, %"]]
    assert {row["layer"] for row in multiply if not row["integer"]} == IN_FLOAT.get(name, set())
    assert sum(row["multiply-accumulates, %"] for row in multiply) == pytest.approx(100, abs=0.1)


def test_images_beyond_those_of_calibration_cost_a_right_file_what_its_ranges_cut_off(made):
    found = measured(made("scores", reach=4), "quantized-layers")["layer_sqnr"]
    assert found.verdict is Verdict.PASS, found.explain()
    (scores,) = (row for row in found.rows if row["layer"] == "y")
    assert scores["ideal"] == pytest.approx(scores["own"], abs=1)
    assert scores["own"] < 20


@pytest.mark.parametrize(
    "scheme", [{"per_channel": False}, {"engine": "fbgemm"}, {"method": "histogram"}]
)
@pytest.mark.parametrize("name", ["Conv1D", "separable, norm, relu", "transposed, norm, relu"])
def test_a_right_file_of_another_scheme_passes(made, name, scheme):
    all_pass(measured(made(name, **scheme), *LOOKED_AT))


@pytest.mark.parametrize("name", ["transposed, norm, relu", "SeparableConv1D"])
def test_a_right_external_file_passes(made, name):
    good = made(name)
    path = good.artifact("torch-int8").path
    external = replace(good, external={"torch-int8": path})
    all_pass(measured(external, *LOOKED_AT), "ranges")


# Every parameter changed


def content_of(workspace):
    from conversion.backends.torch_file import load

    return load(workspace.artifact("torch-int8").path, "torch-int8")


def parameters(workspace, content, exact=True):
    """What the check says of a file's content, without opening it to run."""
    from conversion.proof.checks.int8.quantized_torch import Recomputed

    recorded = json.loads(workspace.artifact("torch-ranges").path.read_text())
    spec = workspace.spec
    found = Recomputed(spec, content, recorded, exact)
    about = Case(workspace, "torch-int8").about
    order = [each.name for each in spec.layers]
    return quantized.parameters(about, order, found.pairs(), found.unchecked())


def one_more(value):
    """A tensor whose first element is 1 % larger, or one integer more; None for what is none."""
    import torch

    if not isinstance(value, torch.Tensor):
        return None
    if value.is_quantized:
        whole = value.int_repr()
        first = whole.view(-1)
        first[0] += 1 if first[0] < 127 else -1
        if value.qscheme() is torch.per_tensor_affine:
            return torch._make_per_tensor_quantized_tensor(
                whole, value.q_scale(), value.q_zero_point()
            )
        scales, zeros = value.q_per_channel_scales(), value.q_per_channel_zero_points()
        return torch._make_per_channel_quantized_tensor(
            whole, scales, zeros, value.q_per_channel_axis()
        )
    changed = value.detach().clone()
    first = changed.view(-1)
    first[0] = first[0] + 1 if not changed.is_floating_point() else first[0] * 1.01 or 0.01
    return changed


def twice(value):
    """A quantized tensor whose first channel has twice the scale; None for what is none."""
    import torch

    if not (isinstance(value, torch.Tensor) and value.is_quantized):
        return None
    scales, zeros = value.q_per_channel_scales().clone(), value.q_per_channel_zero_points()
    scales[0] *= 2
    axis = value.q_per_channel_axis()
    return torch._make_per_channel_quantized_tensor(value.int_repr(), scales, zeros, axis)


def changes(state):
    """Every state in which one tensor is changed, under the name of its entry."""
    for key, entry in state.items():
        parts = entry if isinstance(entry, tuple) else (entry,)
        for index, part in enumerate(parts):
            for change in (one_more, twice):
                changed = change(part)
                if changed is not None:
                    several = (*parts[:index], changed, *parts[index + 1 :])
                    yield key, {**state, key: several if isinstance(entry, tuple) else changed}


@pytest.mark.parametrize("name", WEIGHTY)
def test_every_parameter_that_is_changed_fails(made, name):
    workspace = made(name)
    content = content_of(workspace)
    tried = 0
    for key, state in changes(content["state_dict"]):
        found = parameters(workspace, {**content, "state_dict": state})
        assert any(m.verdict is Verdict.FAIL for m in found), key
        tried += 1
    assert tried >= 6


@pytest.mark.parametrize("name", WEIGHTY)
def test_every_parameter_that_is_left_out_fails(made, name):
    workspace = made(name)
    content = content_of(workspace)
    whole = content["state_dict"]
    for key in whole:
        if key.endswith("._packed_params.dtype") or whole[key] is None:
            continue
        state = {each: value for each, value in whole.items() if each != key}
        found = parameters(workspace, {**content, "state_dict": state})
        assert any(m.verdict is Verdict.FAIL for m in found), key


@pytest.mark.parametrize("name", GROUPS)
def test_a_kernel_is_named_by_the_last_layer_that_is_folded_into_it(made, name):
    workspace = made(name)
    content = content_of(workspace)
    for first, last in GROUPS[name].items():
        own = (f"body.{first}.weight", f"body.{first}.pointwise.weight", f"body.{first}._packed")
        (key,) = (
            key for key in content["state_dict"] if key.startswith(own) and "dtype" not in key
        )
        state = next(state for known, state in changes(content["state_dict"]) if known == key)
        found = {m.name: m for m in parameters(workspace, {**content, "state_dict": state})}
        assert (found["quantized_weights"].verdict, found["quantized_weights"].layer) == (
            "fail",
            last,
        )
    fused = {
        first: (first, *rest)
        for first, *rest in workspace.artifact("torch-int8").provenance["fused"]
    }
    for first, last in GROUPS[name].items():
        named = [
            each for each in fused.get(first, (first,)) if each in {c[1] for c in MODELS[name]}
        ]
        assert named[-1] == last


# What is computed in float though it need not be


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("Conv1D", ["Conv1d"]),
        ("DepthwiseConv1D", ["Conv1d"]),
        ("SeparableConv1D", ["SeparableConv"]),
        ("SeparableConv2D", ["SeparableConv"]),
    ],
)
def test_a_layer_that_could_be_in_integers_and_is_not_fails(made, monkeypatch, name, modules):
    from conversion.quantization import torch_prepared

    for known in ("INTEGER", "SHAPING"):
        kinds = getattr(torch_prepared, known)
        left = tuple(kind for kind in kinds if kind.__name__ not in modules)
        monkeypatch.setattr(torch_prepared, known, left)
    found = measured(made(name, fresh=True, reduce_range=False), *LOOKED_AT)
    for part in ("integer_multiply_accumulates", "eight_bit_weights", "quantized_weights"):
        assert found[part].verdict is Verdict.FAIL
    assert found["integer_multiply_accumulates"].layer == "m"
    assert found["quantized_weights"].layer == "m"


def test_a_model_without_an_integer_kernel_is_no_int8_artifact(made):
    found = measured(made("transposed alone"), *LOOKED_AT)
    whole = found.pop("integer_multiply_accumulates")
    assert (whole.verdict, whole.value) == (Verdict.FAIL, 0.0)
    assert whole.reason.startswith(
        "no layer of this model has an integer kernel in torch-int8[onednn-int7-channel-minmax]: "
        "this is no int8 artifact; "
    )
    all_pass(found)


def test_a_model_that_multiplies_nothing_is_not_judged_by_its_kernels(made):
    found = measured(made("no kernel"), *LOOKED_AT)
    whole = found.pop("integer_multiply_accumulates")
    assert whole.verdict is Verdict.SKIPPED
    assert whole.reason.startswith("no layer of this model multiplies")
    all_pass(found, "weights", "biases")


# Ranges


@pytest.mark.parametrize(
    "name", ["Conv1D", "separable, norm, relu", "sum of three, relu", "transposed, norm, relu"]
)
def test_every_recorded_range_that_is_doubled_fails(made, name, tmp_path):
    workspace = made(name)
    good = workspace.artifact("torch-ranges")
    recorded = json.loads(good.path.read_text())
    for index, observer in enumerate(recorded):
        changed = {
            **recorded,
            observer: {**recorded[observer], "scale": 2 * recorded[observer]["scale"]},
        }
        path = tmp_path / f"{index}.json"
        path.write_text(json.dumps(changed))
        injected = {"torch-ranges": artifact("torch-ranges", path, **good.provenance)}
        found = measured(workspace.injected(Store(tmp_path / "store"), injected), "ranges")
        assert any(m.verdict is Verdict.FAIL for m in found.values()), observer
