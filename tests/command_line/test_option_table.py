"""Both doors have every option of the one table, and make the same choices of it."""

import dataclasses

import pytest

from conversion.cli import options, parser
from conversion.cli.pytest_run import words
from conversion.core.demands import Demands
from conversion.core.running import Running
from conversion.core.settings import (
    CalibrationChoice,
    LitertScheme,
    OnnxScheme,
    Settings,
    TorchScheme,
)
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.shipped import Shipping

TABLE = {option.flag: option for option in options.table()}
KINDS = (
    Settings,
    OnnxScheme,
    TorchScheme,
    LitertScheme,
    CalibrationChoice,
    Preprocessing,
    Shipping,
    Demands,
    Running,
)
FIELDS = [
    (kind, field)
    for kind in KINDS
    for field in dataclasses.fields(kind)
    if field.default is not dataclasses.MISSING
]


@pytest.mark.parametrize(
    ("kind", "field"), FIELDS, ids=[f"{kind.__name__}-{field.name}" for kind, field in FIELDS]
)
def test_every_choice_has_an_option(kind, field):
    assert (kind, field.name) in TABLE[field.metadata["option"]].fields


@pytest.mark.parametrize("verb", ["verify", "test"])
@pytest.mark.parametrize("flag", TABLE)
def test_the_command_line_has_it(run, flag, verb):
    assert f"{flag}" in run(verb, "--help")[1].split()


@pytest.mark.parametrize("flag", TABLE)
def test_pytest_has_it_with_the_same_help(pytestconfig, flag):
    (found,) = [
        each
        for group in pytestconfig._parser._groups
        for each in group.options
        if flag in each.names()
    ]
    assert found.attrs()["help"].split() == TABLE[flag].keywords["help"].split()


def parsed(*typed):
    return parser.parser().parse_args(["verify", "mine.h5", *typed])


def test_what_is_left_out_has_the_default_of_its_field():
    given = parsed()
    assert options.settings(given) == Settings()
    for kind in (Preprocessing, Demands, Running):
        assert options.made(kind, given) == kind()


def test_one_switch_sets_both_schemes():
    found = options.settings(parsed("--per-tensor", "--format", "qdq", "--full-range"))
    assert found.onnx == OnnxScheme(per_channel=False, format="qdq", reduce_range=False)
    assert found.torch == TorchScheme(per_channel=False, reduce_range=False)


def test_float_layers_are_for_every_int8_backend():
    found = options.settings(parsed("--float-layers", "conv2d,dense"))
    assert found.onnx.float_layers == ("conv2d", "dense")
    assert found.torch.float_layers == ("conv2d", "dense")
    assert found.litert.float_layers == ("conv2d", "dense")


TYPED = [
    *("--data", "photos", "--artifact", "onnx-fp32=a.onnx", "--artifact", "torch-fp32=b.pt"),
    *("--scale", "1/255", "--mean", "0.5,0.4,0.3", "--resize", "--per-tensor", "--opset", "17"),
    *("--max-drop", "1", "--backends", "onnx-fp32,torch-fp32", "--report", "out", "--slow"),
]


def test_pytest_is_given_what_was_typed():
    found = words(parser.parsed(["test", "mine.h5", *TYPED]).typed)
    pairs = ["--data=photos", "--backends=onnx-fp32,torch-fp32", "--artifact=onnx-fp32=a.onnx"]
    pairs += ["--artifact=torch-fp32=b.pt", "--opset=17", "--per-tensor", "--scale=1/255"]
    pairs += ["--mean=0.5,0.4,0.3", "--resize", "--max-drop=1", "--report=out", "--slow"]
    assert sorted(found) == sorted(["--model=mine.h5", *pairs])


def test_words_of_pytest_in_front_of_the_dashes_are_told_where_they_belong(refused):
    assert "behind --" in refused("test", "mine.h5", "-m", "parity")


def test_a_wrong_value_is_refused_before_pytest_starts(refused):
    assert "--opset" in refused("test", "mine.h5", "--opset", "new")
