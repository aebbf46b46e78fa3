"""Parity: are the outputs as close to the truth as Keras's are?"""

from __future__ import annotations

from conversion.backends import REFERENCE
from conversion.core.measurement import Measurement, Verdict
from conversion.proof.checks.case import Case
from conversion.proof.checks.layers import located
from conversion.proof.checks.visibility import faults_visible
from conversion.proof.metrics import parity


def output_error(case: Case) -> list[Measurement]:
    """Outputs lie as close to the float64 truth as Keras's own, which must be believable."""
    workspace = case.workspace
    keras = workspace.outputs(REFERENCE)
    doubt = workspace.layers.doubt
    if case.name == REFERENCE:
        return parity.reference_noise(
            case.about, workspace.truth, keras.arrays, case.heads, keras.cached, doubt
        )
    found = workspace.outputs(case.name)
    measured = parity.output_error(
        case.about, workspace.truth, keras.arrays, found.arrays, case.heads, found.cached, doubt
    )
    demands = workspace.demands
    if demands.atol is not None or demands.rtol is not None:
        tolerances = demands.atol or 0.0, demands.rtol or 0.0
        measured.append(
            parity.output_tolerance(
                case.about, keras.arrays, found.arrays, *tolerances, found.cached
            )
        )
    if all(each.verdict is not Verdict.FAIL for each in measured):
        return [*measured, *faults_visible(case)]
    return located(case, measured)
