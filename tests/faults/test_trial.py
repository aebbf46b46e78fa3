"""What counts as a catch: a failure that the untouched artifact does not have, naming the layer."""

from types import SimpleNamespace

import pytest

from conversion.core.measurement import Measurement, Verdict
from conversion.proof.faults import trial as trials
from conversion.proof.faults.fault import Fault

LAYERS = ("conv", "norm", "dense")


def failed(layer, name="layer_error"):
    return Measurement(name, "parity", "mine", "onnx-fp32", Verdict.FAIL, layer=layer)


@pytest.fixture
def tried(monkeypatch):
    """Tries a fault of `conv` where a check finds some layers wrong."""
    spec = SimpleNamespace(
        layers=[SimpleNamespace(name=name) for name in LAYERS], outputs=("dense",)
    )
    good = SimpleNamespace(spec=spec, subject=SimpleNamespace(name="mine", test=None))

    def run(*found, controls=(), check="", fused=()):
        fake = SimpleNamespace(name="layers", topic="parity", measure=lambda case: list(found))
        monkeypatch.setattr(trials, "checks", lambda name: [fake])
        fault = Fault(
            *("onnx-a", "conversion", "onnx-fp32", "one", check, "conv"),
            inject=lambda workspace, folder: workspace,
            fused=fused,
        )
        return trials.trial(good, fault, False, controls)

    return run


def control(*found, artifact="onnx-fp32"):
    return trials.Control("mine", artifact, found)


def test_a_failure_of_the_layer_is_a_catch_that_names_it(tried):
    found = tried(failed("conv"))
    assert (found.caught, found.localised, found.named_layer) == (True, True, "conv")
    assert found.caught_by == ("layers",)


def test_a_failure_of_another_layer_is_a_catch_that_does_not_name_it(tried):
    found = tried(failed("norm"))
    assert (found.caught, found.localised, found.named_layer) == (True, False, "norm")


def test_a_layer_that_is_computed_with_it_counts_as_named(tried):
    found = tried(failed("norm"), fused=("norm",))
    assert (found.localised, found.named_layer) == (True, "norm")


def test_what_fails_on_the_untouched_artifact_catches_nothing(tried):
    found = tried(failed("norm"), controls=[control(failed("norm"))])
    assert not found.caught
    assert tried(failed("norm"), failed("conv"), controls=[control(failed("norm"))]).localised


@pytest.mark.parametrize(
    "other", [control(failed("norm"), artifact="torch-fp32"), control(failed("norm", "another"))]
)
def test_another_failure_of_an_untouched_artifact_takes_nothing_away(tried, other):
    assert tried(failed("norm"), controls=[other]).caught


def test_a_check_that_is_not_the_expected_one_is_no_catch(tried):
    found = tried(failed("conv"), check="weights")
    assert (found.caught, found.caught_by) == (False, ("layers",))


def test_nothing_that_fails_is_a_miss(tried):
    assert not tried().caught
