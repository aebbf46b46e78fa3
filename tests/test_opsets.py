"""Every opset on offer gives a valid file with the same outputs."""

from dataclasses import replace

import pytest

from conversion.core.settings import OPSETS
from conversion.proof.checks import structure
from conversion.proof.checks.case import Case
from conversion.proof.metrics.compare import compare

EVERYDAY = (13, 18, 19, 26)


def opsets():
    for opset in OPSETS:
        marks = () if opset in EVERYDAY else (pytest.mark.slow,)
        yield pytest.param(opset, id=f"opset-{opset}", marks=marks)


@pytest.mark.parametrize("opset", list(opsets()))
def test_the_file_is_valid_and_says_its_opset_and_route(workspaces, opset, judge):
    workspace = workspaces("embedded")
    case = Case(workspace.with_settings(replace(workspace.settings, opset=opset)), "onnx-fp32")
    judge(structure.onnx_valid(case) + structure.onnx_operators(case) + structure.onnx_ports(case))
    route = case.artifact.provenance["route"]
    assert ("version_converter" in route) == (opset > 18)
    # At opset 13 the optimiser may fuse otherwise; rounding is all that may differ.
    inputs = {name: array[:64] for name, array in workspace.parity_inputs.items()}
    ours = workspace.runner("onnx-fp32").run(inputs)
    (difference,) = compare(ours, case.workspace.runner("onnx-fp32").run(inputs))
    assert difference.largest <= 1e-6


@pytest.mark.parametrize("subject", ["embedded", "mlperf-tiny"])
def test_the_graph_has_the_known_census(workspaces, subject):
    # Counted in the file that tf2onnx 1.17 makes at opset 15, with onnx alone.
    found = workspaces(subject).artifact("onnx-fp32").provenance["census"]
    assert (found["nodes"], found["initializers"]) == (39, 35)
    assert found["operators"] == {
        "Add": 11,
        "AveragePool": 1,
        "Conv": 9,
        "MatMul": 1,
        "Mul": 7,
        "Relu": 7,
        "Reshape": 1,
        "Softmax": 1,
        "Transpose": 1,
    }


def test_the_default_int8_graph_is_all_integer_between_its_ends(workspaces):
    found = workspaces("embedded").artifact("onnx-int8").provenance["census"]["operators"]
    assert found["QLinearConv"] == 9
    assert "Conv" not in found
    assert "MatMul" not in found


def test_a_batch_of_any_size_is_open_in_the_file(workspaces):
    provenance = workspaces("embedded").artifact("onnx-fp32").provenance
    assert provenance["inputs"] == [
        {"name": "input_1", "dtype": "float", "shape": ["batch", 32, 32, 3]}
    ]
    assert provenance["outputs"] == [{"name": "dense", "dtype": "float", "shape": ["batch", 10]}]
