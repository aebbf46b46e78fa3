"""What is predicted of a fault in float64 is what the layers measure when it is injected."""

import tempfile
from pathlib import Path

import pytest

from conversion.proof.checks.case import Case
from conversion.proof.checks.fault_effects import IMAGES, effects
from conversion.proof.checks.layers import layer_error
from conversion.proof.checks.visibility import compared
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.standard.sample import sample

NEAR = 3.0
"""Sixteen images predict what 200 measure: up to so many times more or less."""


def predictions(case, faults):
    found = effects(case.workspace.layers, faults, compared(case), case.heads_compared, IMAGES)
    return {(f.operator, f.layer.name): each for f, each in zip(faults, found, strict=True)}


def injected(workspace, artifact):
    """Faults of the sample that the artifact has a place for."""
    from conversion.proof.faults.picking import standard_faults  # brings the converters

    faults = {fault.name: fault for fault in standard_faults(workspace.spec, [artifact])}
    for each in sample(workspace.spec):
        name = f"{artifact}-{each.operator}-{each.layer.name}"
        if name in faults:
            yield each, faults[name]


def practised(workspace, artifact, every):
    good, wrong, count = Case(workspace, artifact), [], 0
    faults = list(sample(workspace.spec))
    predicted = predictions(good, faults)
    for each, fault in list(injected(workspace, artifact))[::every]:
        by, times = predicted[each.operator, each.layer.name]
        with tempfile.TemporaryDirectory() as folder:
            try:
                case = Case(fault.inject(workspace, Path(folder)), artifact)
            except NotInjectable:
                continue
            measured = layer_error(case)
        count += 1
        rows = {row["layer"].split("+")[-1]: row for row in measured[0].rows}
        row = rows.get(by)
        if row is None:  # the fault keeps the layer from being found
            if not any(m.verdict == "fail" for m in measured):
                wrong.append((fault.name, "not found"))
            continue
        found = max(row["pooled"] / 10, row["channel"] / 10, row["image"] / 30)
        if not (times / NEAR <= found or found > 1e6) or not (found <= times * NEAR or found < 1):
            wrong.append((fault.name, by, times, found))
    return wrong, count


@pytest.mark.parametrize(
    "artifact", ["onnx-fp32", pytest.param("torch-fp32", marks=pytest.mark.slow)]
)
def test_some_faults_stand_out_as_predicted(workspaces, artifact):
    wrong, count = practised(workspaces("embedded"), artifact, every=25)
    assert wrong == []
    assert count >= 2


@pytest.mark.slow
@pytest.mark.parametrize("artifact", ["onnx-fp32", "torch-fp32", "torch-via-onnx-fp32"])
def test_every_fault_of_the_sample_stands_out_as_predicted(workspaces, artifact):
    wrong, count = practised(workspaces("embedded"), artifact, every=1)
    assert wrong == []
    assert count >= 20
