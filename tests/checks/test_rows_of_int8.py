"""An int8 file may round a value on the edge of a step otherwise in another batch, and no more."""

from types import SimpleNamespace

import numpy as np
import pytest

from conversion.core.measurement import Verdict
from conversion.core.quantity import About
from conversion.proof.checks.batching import rows

COUNT, CLASSES = 28, 5
TRUTH = np.random.default_rng(0).normal(0, 2, (COUNT, CLASSES))
OWN = np.random.default_rng(1).normal(0, 0.1, (COUNT, CLASSES))
"""What eight bits cost the file."""


def half_a_cost(image, alone):
    """Steps fall otherwise where the image comes alone."""
    return TRUTH[image] + (OWN[image] if not alone else OWN[image] * 0.5)


def another_image(image, alone):
    """The row of another image where it comes alone."""
    return TRUTH[image - alone] + OWN[image]


class Runner:
    """Gives a row by the number that the image holds, and by whether it comes alone."""

    def __init__(self, row):
        self.row = row

    def run(self, inputs):
        numbers = inputs["x"][:, 0].astype(int)
        found = [self.row(number, len(numbers) == 1) for number in numbers]
        return {"y": np.float32(found)}


def constant(image, alone):
    """The same for all images, as where eight bits leave nothing of a network."""
    return np.arange(CLASSES)


def case(row, is_float, seed=None):
    workspace = SimpleNamespace(
        streaming=SimpleNamespace(batch=COUNT),
        parity_inputs={"x": np.arange(COUNT, dtype=np.float32)[:, None]},
        truth={"y": TRUTH},
        runner=lambda name: Runner(row),
        synthetic_seed=seed,
    )
    about = About("net", "file")

    def skip(what, reason):
        return [about.measure(what, reason=reason, verdict=Verdict.SKIPPED)]

    return SimpleNamespace(
        workspace=workspace,
        name="file",
        about=about,
        skip=skip,
        heads={"y": "none"},
        noise=(SimpleNamespace(output="y", noise=1e-6),),
        backend=SimpleNamespace(is_float=is_float),
        artifact=SimpleNamespace(external=False),
    )


@pytest.mark.parametrize(
    ("row", "is_float", "verdict"),
    [
        (half_a_cost, False, Verdict.PASS),
        (half_a_cost, True, Verdict.FAIL),
        (another_image, False, Verdict.FAIL),
    ],
    ids=["steps in int8", "the same in float", "another image in int8"],
)
def test_rows_follow_up_to_what_eight_bits_cost(row, is_float, verdict):
    found = {m.name: m.verdict for m in rows(case(row, is_float))}
    assert found == {"batch_1": verdict, "batch_7": Verdict.PASS, "row_order": Verdict.PASS}


def test_one_answer_in_int8_for_all_images_is_undecided_on_real_ones_and_skipped_on_drawn():
    real = rows(case(constant, False))
    assert {m.verdict for m in real} == {Verdict.UNDECIDED}
    (drawn,) = rows(case(constant, False, seed=0))
    assert drawn.verdict is Verdict.SKIPPED
    assert "in eight bits, for drawn images: pass --data FILE" in drawn.reason


class Forgetful(Runner):
    """Gives what is asked for the first time, and something else afterwards."""

    asked: set = set()

    def run(self, inputs):
        found, size = super().run(inputs), len(inputs["x"])
        if size in self.asked:
            found["y"] += 1
        self.asked = {*self.asked, size}
        return found


@pytest.mark.parametrize(("runner", "said"), [(Forgetful, True), (Runner, False)])
def test_a_runtime_that_gives_the_same_images_other_outputs_is_told_from_a_batch_that_matters(
    runner, said
):
    asked = case(another_image, True)
    kept = runner(another_image)
    asked.workspace.runner = lambda name: kept
    found = [each for each in rows(asked) if each.verdict is Verdict.FAIL]
    assert found
    assert all(each.reason.startswith("asked again") is said for each in found)


def test_the_images_of_a_batch_are_some_that_get_different_outputs():
    held = np.concatenate([np.ones((2 * COUNT, CLASSES)), TRUTH])

    def swapped(image, alone):
        return held[image - alone]

    found = case(swapped, True)
    found.workspace.parity_inputs["x"] = np.arange(len(held), dtype=np.float32)[:, None]
    found.workspace.truth["y"] = held
    assert Verdict.FAIL in {m.verdict for m in rows(found)}
    assert Verdict.UNDECIDED not in {m.verdict for m in rows(found)}
