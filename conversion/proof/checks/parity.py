"""Parity: are the outputs as close to the truth as Keras's are?"""

from __future__ import annotations

from dataclasses import replace

from conversion.backends import REFERENCE
from conversion.core.measurement import Measurement, Verdict
from conversion.proof.checks.case import Case
from conversion.proof.checks.layers import located
from conversion.proof.checks.logits import logits_of
from conversion.proof.checks.other_size import other_size
from conversion.proof.checks.visibility import faults_visible
from conversion.proof.metrics import parity


def output_error(case: Case) -> list[Measurement]:
    """Outputs lie as close to the float64 truth as Keras's own, which must be believable."""
    workspace = case.workspace
    keras = workspace.outputs(REFERENCE)
    doubt = workspace.layers.doubt
    before = {logits_of(name): each for name, each in case.logits.items()}
    heads = case.heads_compared
    truth = {**workspace.truth, **{name: each.truth for name, each in before.items()}}
    ours = {**keras.arrays, **{name: each.keras for name, each in before.items()}}
    if case.name == REFERENCE:
        for name in case.logits:  # of what hardly varies, noise is no part of the spread
            for values in (heads, truth, ours):
                del values[name]
        noise = parity.reference_noise(case.about, truth, ours, heads, keras.cached, doubt)
        return _of_outputs(case, noise)
    found = workspace.outputs(case.name)
    theirs = {**found.arrays, **{name: each.file for name, each in before.items()}}
    measured = parity.output_error(
        case.about, truth, ours, theirs, heads, found.cached, doubt, case.rounding
    )
    measured = [*_of_outputs(case, measured), *other_size(case)]
    demands = workspace.demands
    if demands.atol is not None or demands.rtol is not None:
        tolerances = demands.atol or 0.0, demands.rtol or 0.0
        measured.append(
            parity.output_tolerance(
                case.about, keras.arrays, found.arrays, *tolerances, found.cached
            )
        )
    if case.says_nothing:
        return measured
    if all(each.verdict is not Verdict.FAIL for each in measured):
        return [*measured, *faults_visible(case)]
    return located(case, measured)


def _of_outputs(case: Case, measured: list[Measurement]) -> list[Measurement]:
    """What was compared before an output's activation, as said of that output."""
    outputs = {logits_of(name): name for name in case.logits}
    return [
        m
        if m.layer not in outputs
        else replace(
            m,
            layer=outputs[m.layer],
            reason="; ".join(filter(None, (f"{m.layer}, behind which it hardly varies", m.reason))),
        )
        for m in measured
    ]
