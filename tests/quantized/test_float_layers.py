"""Layers left in float: one setting for every int8 backend, and the checks know of it."""

from dataclasses import replace

import numpy as np
import pytest
from small_models import Int8, functional
from test_torch_int8_of_all_kinds import MODELS

from conversion.backends import BACKENDS, Capability
from conversion.core.artifact import Store
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.core.settings import (
    LitertScheme,
    OnnxScheme,
    Settings,
    TorchScheme,
)
from conversion.proof.checks import checks
from conversion.proof.checks.case import Case

CHOSEN = ("conv2d", "dense")
INT8 = ("onnx-int8", "torch-int8", "litert-int8")
WHITE_BOX = ("integer-weights", "integer-kernels", "ranges", "quantized-parameters")


def leaving(workspace, *names):
    """The same workspace with some layers in float, whatever the backend."""
    chosen = workspace.settings
    return workspace.with_settings(
        replace(
            chosen,
            onnx=replace(chosen.onnx, float_layers=names),
            torch=replace(chosen.torch, float_layers=names),
            litert=replace(chosen.litert, float_layers=names),
        )
    )


def measured(case, *names):
    chosen = [check for check in checks(case.name) if check.name in names]
    return {found.name: found for check in chosen for found in check.measure(case)}


def kernel_elements(spec, names):
    return sum(spec.layer(name).weights["kernel"].size for name in names)


@pytest.fixture(params=INT8)
def name(request):
    if request.param == "litert-int8":
        pytest.importorskip("ai_edge_litert")
    return request.param


# Names


@pytest.mark.parametrize("scheme", [OnnxScheme, TorchScheme, LitertScheme])
def test_an_unknown_layer_is_refused_with_the_nearest_names_before_anything_is_built(
    embedded, scheme
):
    part = scheme.__name__.removesuffix("Scheme").lower()
    settings = replace(embedded.settings, **{part: scheme(float_layers=("conv2d_11",))})
    with pytest.raises(UserError, match=r"no 'conv2d_11', the nearest names are .*conv2d_1\b"):
        embedded.with_settings(settings)


def test_the_layers_of_all_schemes_are_listed_once():
    chosen = Settings(onnx=OnnxScheme(float_layers=("a", "b")), torch=TorchScheme(float_layers="b"))
    assert chosen.float_layers == ("a", "b")


def test_a_layer_that_computes_nothing_is_accepted_and_said(embedded, name):
    made = leaving(embedded, "dense", "flatten").artifact(name)
    (said,) = made.provenance["warnings"]
    assert said.startswith("'flatten' has no step of its own")


def test_label_and_provenance_say_which_layers_are_in_float(embedded, name):
    case = Case(leaving(embedded, *CHOSEN), name)
    assert case.label.endswith(", conv2d+dense in float]")
    assert "dense in float" in case.artifact.provenance["route"]


# Files


def test_the_checks_know_what_is_left_in_float(embedded, name):
    mapped = ("quantized-layers",) if name != "onnx-int8" else ()  # seconds, and nothing new
    found = measured(Case(leaving(embedded, *CHOSEN), name), *WHITE_BOX, *mapped)
    odd = [each for each in found.values() if each.verdict is not Verdict.PASS]
    shown = BACKENDS[name].offers(Capability.INTEGER_KERNELS)
    assert [each.name for each in odd] == ([] if shown else ["integer_kernels"])
    kept = kernel_elements(embedded.spec, CHOSEN)
    whole = sum(
        each.weights["kernel"].size for each in embedded.spec.layers if "kernel" in each.weights
    )
    assert found["eight_bit_weights"].value == whole - kept


def test_weights_that_are_kept_as_they_are_count_as_compared_exactly(embedded, name):
    """LiteRT's are compared within rounding; into the others' Dense nothing is folded."""
    found = measured(Case(leaving(embedded, *CHOSEN), name), "quantized-parameters")
    seen = found["quantized_weights_seen"]
    total = sum(a.size for each in embedded.spec.layers for a in each.weights.values())
    kept = sum(a.size for a in embedded.spec.layer("dense").weights.values())
    shares = {row["how"]: row["share"] for row in seen.rows}
    wanted = 0 if name == "litert-int8" else kept / total
    assert (seen.value, shares["by behaviour"]) == (pytest.approx(1.0), 0)
    assert shares["exactly"] == pytest.approx(wanted)


def test_a_layer_in_float_that_was_not_asked_for_is_seen(embedded, tmp_path, name):
    other = leaving(embedded, *CHOSEN).artifact(name)
    case = Case(embedded.injected(Store(tmp_path), {name: other}), name)
    found = measured(case, "integer-weights", "integer-kernels", "quantized-parameters")
    failed = {each.name for each in found.values() if each.verdict is Verdict.FAIL}
    assert "eight_bit_weights" in failed
    assert failed & {"quantized_weights", "quantized_unchecked"}
    if name != "litert-int8":
        assert "integer_multiply_accumulates" in failed
        assert found["integer_multiply_accumulates"].layer == "conv2d"


def test_a_layer_in_integers_that_was_to_be_in_float_is_seen(embedded, tmp_path, name):
    chosen = leaving(embedded, *CHOSEN)
    case = Case(chosen.injected(Store(tmp_path), {name: embedded.artifact(name)}), name)
    found = measured(case, "quantized-parameters")["quantized_weights"]
    assert found.verdict is Verdict.FAIL
    assert found.layer in ("conv2d", "batch_normalization", "activation")


def test_with_every_layer_in_float_only_the_casts_at_the_ends_are_left(embedded, name):
    layers = [each.name for each in embedded.spec.layers if each.kind != "InputLayer"]
    (truth,) = embedded.truth.values()

    def distance(workspace):
        (found,) = workspace.outputs(name).arrays.values()
        return np.sqrt(((found - truth) ** 2).mean())

    # LiteRT's outputs stay in steps of 1/256, whose rounding is 0.29 of a step.
    least = 0.29 / 256 if name == "litert-int8" else 1e-6
    assert distance(leaving(embedded, *layers)) < 1.2 * least < distance(embedded) / 5


# PyTorch's modules


@pytest.fixture
def built(reference, tmp_path):
    """Builds a small model and its PyTorch int8 file with some layers in float."""

    def build(model, *names, folder="int8"):
        config = functional((6, 6, 3), MODELS[model], ["y"])
        scheme = TorchScheme(method="minmax", float_layers=names)
        return Int8(reference, tmp_path / folder, config, scheme)

    return build


KINDS = (
    *("separable, norm, relu", "conv 1d, norm, relu", "transposed, relu inside"),
    *("channels first", "norm of the height", "relu inside, norm", "conv that two read"),
    *("sum of three, relu", "sum of unlike ranks", "dense, norm"),
)


@pytest.mark.parametrize("model", KINDS)
def test_with_every_layer_in_float_nothing_is_cast_and_the_float_outputs_come_out(built, model):
    made = built(model, *(call[1] for call in MODELS[model]))
    (exact,), (found,) = made.keras().values(), made.run().values()
    assert made.ranges() == {}
    assert np.sqrt(((found - exact) ** 2).mean()) <= 1e-5 * np.sqrt(exact.var(axis=0).mean())


@pytest.mark.parametrize("model", ["separable, norm, relu", "sum of three, relu"])
def test_a_file_with_layers_in_float_gives_the_very_bits_of_the_module_that_was_saved(built, model):
    import torch

    from conversion.backends.torch_file import TorchRunner
    from conversion.backends.torch_fp32 import rebuild
    from conversion.quantization import torch_static
    from conversion.quantization.torch_prepared import engine

    made = built(model, "a", "s", "m")
    chosen = made.ingredients.settings.torch
    file = made.ingredients.artifacts["torch-int8"].path
    with engine(chosen.engine):
        source = rebuild(made.ingredients.artifacts["torch-fp32"].path)
        module, _ = torch_static._quantized(source, chosen, made.ranges())
        saved = TorchRunner(module, ["x"], ["y"], 1).run({"x": made.images})
    assert made.run()["y"].tobytes() == saved["y"].tobytes()
    content = torch.load(file, weights_only=True)
    assert content["scheme"]["float_layers"] == ("a", "s", "m")
    assert torch_static.stated_scheme(file) == chosen


def test_a_norm_of_its_own_is_not_folded_into_the_integers_before_it(built):
    from conversion.backends.torch_file import load

    made = built("separable, norm, relu", "n")
    state = load(made.ingredients.artifacts["torch-int8"].path, "torch-int8")["state_dict"]
    assert "body.n.module.running_var" in state
    assert not state["body.n.module.running_var"].is_quantized
    assert state["body.a.pointwise.weight"].is_quantized
