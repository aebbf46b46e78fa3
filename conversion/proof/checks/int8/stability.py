"""Stability: is an int8 artifact the same whichever training images calibrate?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from conversion.core.measurement import Concern, Measurement
from conversion.core.settings import CalibrationChoice
from conversion.proof.checks.accuracy import measured_change, uncounted, without_labels
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.calibration import unknown
from conversion.proof.metrics import accuracy, stability
from conversion.proof.metrics.quantities import STABILITY_VERDICT
from conversion.workspace import Workspace


@dataclass(frozen=True)
class Again:
    """An int8 artifact to be made once more, from calibration images that are others.

    Attributes:
        name: the artifact's backend.
        choice: of the other images.
        sources: digests of all that it depends on beside them.
        workspace: where it is made; workspaces with the same sources give the same.
    """

    name: str
    choice: CalibrationChoice
    sources: tuple[object, ...]
    workspace: Workspace = field(compare=False)


def calibration_stability(case: Case) -> list[Measurement]:
    """Calibrated on images disjoint from the first, the artifact gets the same verdict."""
    if reason := unknown(case) or without_labels(case) or _not_comparable(case):
        return case.skip(STABILITY_VERDICT, reason)
    baseline, workspace = case.backend.baseline, case.workspace
    assert baseline is not None
    assert workspace.test.labels is not None
    (output,) = workspace.spec.outputs
    one = workspace.outputs(case.name, workspace.test).arrays[output]
    other = _outputs(_again(case))
    try:
        before, _ = case.tally(baseline)
        tallies = [accuracy.tally(each, workspace.test.labels) for each in (one, other)]
    except ValueError as error:
        return uncounted(case, STABILITY_VERDICT, error)
    gates = [measured_change(case, before, found, cached=False) for found in tallies]
    change = accuracy.paired_change(tallies[1].correct, tallies[0].correct)
    concerns = Concern.CONVERSION if case.is_regression_test else Concern.COST
    moved = [
        stability.stability_change(case.about, change),
        *stability.stability_agreement(case.about, one, other),
    ]
    return [
        stability.stability_verdict(case.about, gates[0], gates[1], change, concerns),
        *(moved if case.is_regression_test else map(stability.reported, moved)),
    ]


def _not_comparable(case: Case) -> str:
    """Why there is no other set, or no limit for what it gives; empty where there is."""
    train, choice = case.workspace.subject.train, case.workspace.settings.calibration
    assert train is not None
    if not case.is_default:
        return "calibration on other images is tried for default schemes only"
    count = min(choice.count, len(train))
    if len(train) < (choice.part + 2) * count:
        return f"{len(train)} training images are too few for two sets of {count}"
    return ""


def _again(case: Case) -> Again:
    workspace = case.workspace
    train, settings = workspace.subject.train, workspace.settings
    assert train is not None
    assert case.backend.baseline is not None
    baseline = workspace.artifact(case.backend.baseline).digest
    images = (train.digest, workspace.test.digest)
    sources = (settings, workspace.spec.digest, baseline, *images, workspace.threads)
    choice = replace(settings.calibration, part=settings.calibration.part + 1)
    return Again(case.name, choice, sources, workspace)


@lru_cache(maxsize=8)
def _outputs(again: Again) -> np.ndarray:
    """The other artifact's scores; kept, since every injected fault asks for the same."""
    workspace = again.workspace
    settings = replace(workspace.settings, calibration=again.choice)
    calibration = workspace.with_settings(settings).artifact("calibration")
    other = workspace.injected(workspace.store, {"calibration": calibration})
    (output,) = workspace.spec.outputs
    return other.outputs(again.name, other.test).arrays[output]
