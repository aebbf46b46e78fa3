"""What pytest collects, under which ids, how fast, and what it says to a wrong option."""

import ast
import re
import subprocess
import sys

import pytest
from pytest_runs import COLLECT, in_one_process
from python_sources import FRAMEWORKS, ROOT, files, parsed

WRONG = {
    "data without a model": (["--data", "mine.npz"], "Expected --model FILE beside --data FILE"),
    "missing model": (["--model=nowhere.h5"], "Expected a Keras model file at nowhere.h5"),
    "unknown artifact": (
        ["--model=conversion/subjects/embedded.h5", "--artifact", "onnx-fp99=a.onnx"],
        "Unknown backend 'onnx-fp99'; known: keras-fp32, onnx-fp32,",
    ),
    "what ships without a model": (
        ["--shipped-preprocessing", "channels=bgr"],
        "Expected --model and --data beside the options for preprocessing",
    ),
    "what ships without files": (
        [
            *("--model=conversion/subjects/embedded.h5", "--data", "synthetic"),
            *("--shipped-preprocessing", "channels=bgr"),
        ],
        "Expected --data, a folder of images, beside --shipped-preprocessing",
    ),
    "artifact without a file": (["--subject", "embedded", "--artifact", "onnx-fp32"], "NAME=FILE"),
    "missing artifact": (
        ["--subject", "embedded", "--artifact", "onnx-fp32=nowhere.onnx"],
        "Expected a onnx-fp32 file at nowhere.onnx; there is none",
    ),
    "artifact of no model": (
        ["--artifact", "onnx-fp32=nowhere.onnx"],
        "there is none",
    ),
    "opset": (["--opset", "99"], "Expected an opset from 13 to 26; got 99"),
    "opset that is no number": (["--opset", "new"], "invalid int value: 'new'"),
    "subject": (["--subject", "resnet"], "invalid choice: 'resnet'"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    chosen = {
        "parity": [*COLLECT, "-m", "parity"],
        "help": ["--help"],
        **{name: [*COLLECT, *options] for name, (options, _) in WRONG.items()},
    }
    return in_one_process(tmp_path_factory.mktemp("run"), chosen)


def test_the_ids_of_the_parity_tests_are_these(runs):
    code, _, _, ids, _ = runs["parity"]
    assert code == 0
    assert sorted(
        each for each in ids if each.startswith("conversion/suite/test_parity.py::test_parity[")
    ) == [
        "conversion/suite/test_parity.py::test_parity[embedded-keras-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[embedded-keras-fp32-preprocessing]",
        "conversion/suite/test_parity.py::test_parity[embedded-litert-fp32-layers]",
        "conversion/suite/test_parity.py::test_parity[embedded-litert-fp32-margins]",
        "conversion/suite/test_parity.py::test_parity[embedded-litert-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[embedded-onnx-fp32-layers]",
        "conversion/suite/test_parity.py::test_parity[embedded-onnx-fp32-margins]",
        "conversion/suite/test_parity.py::test_parity[embedded-onnx-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[embedded-torch-fp32-layers]",
        "conversion/suite/test_parity.py::test_parity[embedded-torch-fp32-margins]",
        "conversion/suite/test_parity.py::test_parity[embedded-torch-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[embedded-torch-via-onnx-fp32-layers]",
        "conversion/suite/test_parity.py::test_parity[embedded-torch-via-onnx-fp32-margins]",
        "conversion/suite/test_parity.py::test_parity[embedded-torch-via-onnx-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-keras-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-keras-fp32-preprocessing]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-litert-fp32-layers]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-litert-fp32-margins]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-litert-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-onnx-fp32-layers]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-onnx-fp32-margins]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-onnx-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-torch-fp32-layers]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-torch-fp32-margins]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-torch-fp32-output-error]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-torch-via-onnx-fp32-layers]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-torch-via-onnx-fp32-margins]",
        "conversion/suite/test_parity.py::test_parity[mlperf-tiny-torch-via-onnx-fp32-output-error]",
    ]


def test_ids_are_unique_and_of_plain_words(runs):
    _, _, _, ids, _ = runs["parity"]
    assert len(ids) == len(set(ids))
    plain = re.compile(r"conversion/suite/\w+\.py::\w+(\[[a-z0-9-]+\])?")
    assert all(plain.fullmatch(each) for each in ids)


def test_collecting_imports_no_framework(runs):
    assert not FRAMEWORKS & set(runs["parity"][4])


def test_neither_help_nor_a_wrong_option_imports_one(runs):
    before = set(runs["parity"][4])
    assert not FRAMEWORKS & (set(runs["subject"][4]) - before)  # the last run of one process


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_a_usage_error_of_one_sentence(runs, name):
    code, out, err, ids, _ = runs[name]
    said = out + err
    assert code == 4
    assert ids == []
    assert WRONG[name][1] in said
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    errors = [line for line in said.splitlines() if re.match(r"ERROR: (?!usage)|.*: error: ", line)]
    assert len(errors) == 1


def test_help_lists_the_options_under_one_heading(runs):
    code, out, _, _, _ = runs["help"]
    assert code == 0
    start = out.index("conversion: the model under test:")
    section = out[start:]
    for option in ("model", "data", "artifact", "subject", "opset", "report", "format"):
        assert f"--{option}" in section


def registered():
    from conversion.plugin.collection import MARKERS

    return {re.match(r"\w+", line).group() for line in MARKERS}


OWN = {"alone", "one_in"}  # of pytest.ini
BUILT_IN = {"parametrize", "skip", "skipif", "xfail", "usefixtures", "filterwarnings"}


def marks(tree):
    """Names of `pytest.mark.NAME` in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pytest.mark":
            yield node.attr


def test_every_marker_in_use_is_registered():
    used = {mark for path in files("tests", "fixtures") for mark in marks(parsed(path))}
    assert used - BUILT_IN - OWN <= registered()


def test_what_is_timed_is_where_a_plain_run_looks_for_it():
    (where,) = (
        ast.literal_eval(node.value)
        for node in parsed("conftest.py").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TIMED_FILES"
    )
    timed = [path for path in files("tests") if {"alone", "latency"} & set(marks(parsed(path)))]
    assert len(timed) >= len(where)
    assert [path for path in timed if not path.startswith(where)] == []


def test_every_topic_of_a_check_is_a_marker():
    from conversion.proof.checks import CHECKS, TOPICS

    assert {check.topic for check in CHECKS} == set(TOPICS)
    assert set(TOPICS) | {"slow", "artifacts"} == registered()


def test_file_names_of_tests_are_unique():
    ours = [path for name, path in files("tests").items() if "openvino_backend" not in name]
    names = [path.name for path in ours if path.name != "conftest.py"]
    assert len(names) == len(set(names))
    assert names.count("__init__.py") == 1  # the suite is a package, since it is installed


def test_where_nothing_is_timed_the_latency_tests_are_skipped_by_name(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs"),
            *("--benchmark-disable", "--model=conversion/subjects/embedded.h5"),
            *("-k", "test_latency and torch-fp32 and batch-1"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"SKIPPED .*benchmark", done.stdout)
    assert re.search(r"^1 skipped, \d+ deselected", done.stdout, re.MULTILINE)
