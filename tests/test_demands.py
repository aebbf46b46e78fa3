"""What a user may demand: refused in one sentence where it means nothing."""

import dataclasses
import math

import pytest

from conversion.core.demands import Demands
from conversion.core.errors import UserError


@pytest.mark.parametrize(
    ("field", "value", "option"),
    [
        ("max_drop", -0.1, "--max-drop"),
        ("max_drop", math.nan, "--max-drop"),
        ("max_drop", math.inf, "--max-drop"),
        ("max_class_drop", 100.1, "--max-class-drop"),
        ("atol", -1e-9, "--atol"),
        ("atol", math.inf, "--atol"),
        ("rtol", math.nan, "--rtol"),
        ("min_speed_up", 0.0, "--min-speed-up"),
        ("min_speed_up", math.nan, "--min-speed-up"),
    ],
)
def test_a_demand_that_means_nothing_is_refused(field, value, option):
    with pytest.raises(UserError, match=f"^Expected {option} to be .*; got ") as refused:
        Demands(**{field: value})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("values", [{"max_drop": 0}, {"atol": 0.0, "rtol": 1e-5}, {}])
def test_a_demand_that_means_something_is_taken(values):
    assert dataclasses.asdict(Demands(**values)).items() >= values.items()


@pytest.mark.parametrize("field", dataclasses.fields(Demands), ids=lambda field: field.name)
def test_every_demand_says_which_option_it_is(field):
    assert field.metadata["option"] == "--" + field.name.replace("_", "-")
    assert field.metadata["help"]
    assert ("metavar" in field.metadata) is (field.type != "bool")
