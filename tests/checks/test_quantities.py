"""A measurement takes its name, unit and verdict from what is said once of its quantity."""

import pytest

from conversion.core.measurement import Verdict
from conversion.core.quantity import About, Limit, Quantity, Question
from conversion.proof.metrics.quantities import quantities

ABOUT = About("mine", "onnx-fp32")
CHECK = Question("heights", "structure", "nothing is too high")
HEIGHT = Quantity("height", CHECK, "how high it is", Limit(2.0, "m", 1.5, "a door is 2 m"))
DEPTH = Quantity("depth", CHECK, "how deep it is", Limit(1, "m", None, "a rule", ">="))
COUNT = Quantity("count", CHECK, "how many there are", unit="doors", relation="==")


def test_what_is_said_of_the_quantity_stands_in_the_measurement():
    found = ABOUT.measure(HEIGHT, 1.0, "low", n=3)
    assert (found.name, found.topic) == ("height", "structure")
    assert (found.subject, found.artifact) == ("mine", "onnx-fp32")
    assert (found.value, found.unit, found.relation, found.limit) == (1.0, "m", "<=", 2.0)
    assert (found.verdict, found.reason, found.n) == (Verdict.PASS, "low", 3)


@pytest.mark.parametrize(
    ("quantity", "value", "limit", "verdict"),
    [
        (HEIGHT, 2.0, None, "pass"),
        (HEIGHT, 2.1, None, "fail"),
        (HEIGHT, float("nan"), None, "fail"),
        (HEIGHT, 2.1, 3.0, "pass"),
        (DEPTH, 1, None, "pass"),
        (DEPTH, 0.5, None, "fail"),
        (COUNT, 4, 4, "pass"),
        (COUNT, 5, 4, "fail"),
    ],
)
def test_the_verdict_comes_from_the_limit_and_its_relation(quantity, value, limit, verdict):
    assert ABOUT.measure(quantity, value, limit=limit).verdict == verdict


def test_a_value_without_any_limit_is_reported():
    found = ABOUT.measure(COUNT, 4)
    assert (found.verdict, found.relation, found.limit) == (Verdict.PASS, "", None)
    assert found.unit == "doors"


@pytest.mark.parametrize(
    ("value", "verdict", "reason"),
    [(1.0, "undecided", "it is dark; low"), (3.0, "fail", "it is dark; low")],
)
def test_a_doubt_makes_a_pass_undecided_and_leaves_a_failure(value, verdict, reason):
    found = ABOUT.measure(HEIGHT, value, "low", doubt="it is dark")
    assert (found.verdict, found.reason) == (verdict, reason)


def test_where_nothing_was_measured_there_is_no_limit_either():
    found = ABOUT.measure(HEIGHT, reason="no door", verdict=Verdict.SKIPPED)
    assert (found.value, found.unit, found.relation, found.limit) == (None, "", "", None)


def test_a_check_as_a_whole_is_named_after_it():
    assert Question("onnx-valid", "structure", "it is valid").whole.name == "onnx_valid"


@pytest.mark.parametrize("quantity", quantities(), ids=lambda each: each.name)
def test_every_quantity_is_explained_in_one_sentence(quantity):
    assert quantity.meaning
    assert not quantity.meaning.endswith(".")
    assert "\n" not in quantity.meaning


def test_no_two_quantities_of_a_topic_have_one_name():
    names = [(each.name, each.question.topic) for each in quantities()]
    assert len(names) == len(set(names))
