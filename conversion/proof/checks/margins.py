"""Margins: which answers cannot have changed, and how many int8 has changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conversion.backends import REFERENCE, Capability
from conversion.core.errors import NotMapped, NoTruth, RunFailed
from conversion.core.measurement import Measurement
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.ideal_rounding import rounding_in
from conversion.proof.checks.layers import located
from conversion.proof.metrics import agreement as agreements
from conversion.proof.metrics import limits, margins
from conversion.proof.metrics.compare import Incomparable, NoPower, uncompared
from conversion.proof.metrics.quantities import AGREEMENT, MARGIN_CERTIFIED

IDEAL_IMAGES = 1000
"""Images on which ideal rounding is measured at most."""

IDEAL_VALUES = 600_000_000
"""Values of layers that are evaluated for it at most, so that a large model gets fewer images."""

CHUNK = 32
"""Images that are evaluated at a time."""


def not_answers(case: Case) -> str:
    """Why the model's outputs are not answers that can flip; empty where they are."""
    return case.workspace.spec.without_answers


def certificate(case: Case) -> list[Measurement]:
    """No error of the outputs is large enough to change an answer."""
    workspace, reason = case.workspace, not_answers(case)
    if reason:
        return case.skip(MARGIN_CERTIFIED, reason)
    (output,) = workspace.spec.outputs
    keras, found = (_outputs(case, name) for name in (REFERENCE, case.name))
    try:
        (noise,) = case.noise
        measured = margins.margins(keras[0], found[0], case.heads[output])
    except (NoPower, Incomparable) as error:
        return [uncompared(case.about, MARGIN_CERTIFIED, error)]
    doubt = workspace.layers.doubt
    certified = margins.certificate(case.about, output, measured, noise, found[1], doubt)
    if workspace.subject.test is None:
        certified = [replace(each, seed=workspace.synthetic_seed) for each in certified]
    return located(case, certified)


def agreement(case: Case) -> list[Measurement]:
    """The int8 artifact gives the float artifact's answer to nearly every image."""
    workspace, reason = case.workspace, not_answers(case)
    if workspace.subject.test is None:
        reason = "no data: pass --data FILE"
    if reason:
        return case.skip(AGREEMENT, reason)
    baseline = case.backend.baseline
    assert baseline is not None
    (before, _), (found, cached) = (_outputs(case, name) for name in (baseline, case.name))
    tight, ideal = limits.AGREEMENT.value, None
    if not case.is_regression_test:
        tight, ideal = limits.AGREEMENT_OUTER.value, _ideal(case, before)
    return agreements.agreement(
        case.about, before, found, tight, baseline, cached, AGREEMENT, ideal
    )


def _ideal(case: Case, before: np.ndarray) -> agreements.Ideal | None:
    """What ideal rounding in the file's steps changes; None where its layers cannot be seen."""
    if not case.backend.offers(Capability.TAPS):
        return None
    try:
        case.require_map()
        rounding = rounding_in(case)
    except (NotMapped, NoTruth, RunFailed):  # the check of layers says so
        return None
    (port,), (output,) = case.workspace.spec.inputs, case.workspace.spec.outputs
    images = case.workspace.test.images
    most = IDEAL_VALUES // case.workspace.layers.streaming.values
    chosen = np.unique(np.linspace(0, len(images) - 1, min(max(most, 1), IDEAL_IMAGES)).astype(int))
    changed = 0
    for part in np.array_split(chosen, -(-len(chosen) // CHUNK)):
        found = rounding.outputs({port: images[part].astype(np.float32)})[output]
        pair = (margins.answers(each) for each in (found, before[part]))
        changed += int(np.count_nonzero(np.not_equal(*pair)))
    return agreements.Ideal(changed, len(chosen))


def _outputs(case: Case, name: str) -> tuple[np.ndarray, bool]:
    """The answers' scores on the test images, else on the parity images."""
    workspace = case.workspace
    data = None if workspace.subject.test is None else workspace.test
    found = workspace.outputs(name, data)
    return found.arrays[workspace.spec.outputs[0]], found.cached
