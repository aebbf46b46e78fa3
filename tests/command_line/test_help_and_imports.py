"""Help comes at once: no framework is imported for it, nor for a mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EMBEDDED = Path(__file__).parents[2] / "conversion" / "subjects" / "embedded.h5"
HEAVY = {
    *("tensorflow", "keras", "torch", "torchvision", "onnx", "onnxruntime", "onnx2torch"),
    "ai_edge_litert",
}
HEAVY |= {"tf2onnx", "torchao", "pytest", "hypothesis"}
VERBS = ("convert", "quantize", "evaluate", "inspect", "explain", "fetch", "verify")
SCRIPT = """
import sys
import conversion
from conversion.__main__ import main
try:
    code = main(sys.argv[1:])
except SystemExit as stopped:
    code = stopped.code
print("modules:", *sorted({name.split(".")[0] for name in sys.modules}))
sys.exit(code)
"""


def python(*arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def fresh(*arguments):
    """Runs the command line in a process of its own; gives exit code, output and modules."""
    done = python("-c", SCRIPT, *arguments)
    out, _, modules = done.stdout.partition("modules: ")
    return done.returncode, out + done.stderr, set(modules.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--help",), 0, "examples:"),
        (("verify", "--help"), 0, "--report"),
        (("verify", "--format", "int8"), 2, "invalid choice"),
        (("convert", "nowhere.h5", "--opset", "12"), 2, "13 to 26"),
        (("inspect", str(EMBEDDED)), 0, "parameters: 78666"),
    ],
    ids=["help", "verb-help", "wrong-value", "wrong-opset", "inspect"],
)
def test_no_framework_is_imported(folder, arguments, code, words):
    found, said, modules = fresh(*arguments)
    assert (found, words in said) == (code, True)
    assert "conversion" in modules
    assert not modules & HEAVY


def test_help_has_an_example_of_every_verb(run):
    code, out, _ = run("--help")
    assert code == 0
    for verb in VERBS:
        assert f"  conversion {verb}" in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(run, verb):
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert out.startswith(f"usage: conversion {verb}")


@pytest.mark.parametrize(
    "words",
    ["onnx-fp32,torch-fp32", "13 to 26", "(default: 15)"],
    ids=["backends", "opsets", "opset"],
)
def test_help_of_convert_names_its_defaults(run, words):
    assert words in run("convert", "--help")[1]


def test_module_runs_as_a_command(folder):
    done = python("-m", "conversion", "inspect", "nowhere.h5")
    assert (done.returncode, done.stdout) == (2, "")
    said = [line for line in done.stderr.splitlines() if not line.startswith("inspect ...")]
    assert said == ["conversion: Expected a Keras model file at nowhere.h5; there is none."]
