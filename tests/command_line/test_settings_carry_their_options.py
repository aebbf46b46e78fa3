"""Every setting says which option sets it, what that takes and what it is called in the help."""

from argparse import ArgumentTypeError
from dataclasses import dataclass, fields

import pytest

from conversion.core.errors import UserError
from conversion.core.options import (
    as_names,
    as_number,
    as_numbers,
    check_choices,
    option,
)
from conversion.core.running import Running
from conversion.core.settings import (
    CalibrationChoice,
    LitertScheme,
    OnnxScheme,
    Settings,
    TorchScheme,
)
from conversion.subjects.preprocessing import Preprocessing

CARRIERS = (OnnxScheme, TorchScheme, LitertScheme, CalibrationChoice, Preprocessing, Running)
FIELDS = [(kind, each) for kind in CARRIERS for each in fields(kind)]

OPTIONS = {
    "OnnxScheme": {
        "activations": "--activations",
        "weights": "--weights",
        "per_channel": "--per-tensor",
        "format": "--format",
        "method": "--method",
        "float_layers": "--float-layers",
        "reduce_range": "--full-range",
    },
    "TorchScheme": {
        "engine": "--engine",
        "per_channel": "--per-tensor",
        "method": "--torch-method",
        "float_layers": "--float-layers",
        "reduce_range": "--full-range",
    },
    "LitertScheme": {"float_layers": "--float-layers"},
    "CalibrationChoice": {
        "count": "--calibration-count",
        "seed": "--calibration-seed",
        "part": "--calibration-part",
    },
    "Preprocessing": {
        "family": "--preprocess",
        "scale": "--scale",
        "mean": "--mean",
        "std": "--std",
        "resize": "--resize",
    },
    "Running": {"threads": "--threads", "memory": "--memory", "seed": "--seed"},
}


@pytest.mark.parametrize("kind", CARRIERS, ids=lambda kind: kind.__name__)
def test_every_field_names_its_option(kind):
    found = {each.name: each.metadata["option"] for each in fields(kind)}
    assert found == OPTIONS[kind.__name__]


def test_the_opset_names_its_option():
    (opset,) = (each for each in fields(Settings) if each.name == "opset")
    assert opset.metadata["option"] == "--opset"


@pytest.mark.parametrize(
    ("kind", "field"), FIELDS, ids=[f"{kind.__name__}-{each.name}" for kind, each in FIELDS]
)
def test_what_a_field_says_of_its_option_is_enough_to_make_it(kind, field):
    told = field.metadata
    takes_no_value = "const" in told
    assert told["help"]
    assert takes_no_value is isinstance(field.default, bool)
    if takes_no_value:
        assert told["const"] is not field.default
    elif "choices" in told:
        assert field.default in told["choices"]
    else:
        assert told["metavar"]


def test_fields_of_one_option_say_the_same_of_it():
    said = {}
    for _, each in FIELDS:
        said.setdefault(each.metadata["option"], []).append((each.default, dict(each.metadata)))
    assert [flag for flag, all_ in said.items() if any(one != all_[0] for one in all_)] == []
    assert len(said["--per-tensor"]) == 2


@dataclass(frozen=True)
class Coffee:
    size: str = option("small", "--size", "of the cup", choices=("small", "large"))


def test_the_help_ends_with_the_default():
    (size,) = fields(Coffee)
    assert size.metadata["help"] == "of the cup (default: small)"


def test_a_value_that_is_not_on_offer_is_refused_in_one_sentence():
    check_choices(Coffee("large"))
    with pytest.raises(UserError, match=r"Expected size to be one of small, large; got 'huge'\."):
        check_choices(Coffee("huge"))


def test_text_becomes_names_and_numbers():
    assert as_names(" conv2d, dense,") == ("conv2d", "dense")
    assert as_number("1/4") == 0.25
    assert as_numbers("1,2.5") == (1.0, 2.5)


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        pytest.param(as_names, " , ", "at least one name", id="no-name"),
        pytest.param(as_number, "1/0", "a number or 1/255; got '1/0'", id="a-zeroth"),
        pytest.param(as_numbers, "1,two", "got 'two'", id="a-word"),
    ],
)
def test_text_that_is_none_of_it_is_refused(parse, text, said):
    with pytest.raises(ArgumentTypeError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"threads": 0}, "1 to 1024 threads; got 0", id="no-thread"),
        pytest.param({"threads": 4096}, "1 to 1024 threads; got 4096", id="too-many-threads"),
        pytest.param({"seed": -1}, "a seed from 0 to 4294967295; got -1", id="negative-seed"),
        pytest.param({"seed": 2**32}, "a seed from 0 to 4294967295", id="too-large-a-seed"),
    ],
)
def test_a_run_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        Running(**wrong)
