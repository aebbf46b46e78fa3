"""Visibility: which standard faults would have been seen by what was compared in an artifact."""

from __future__ import annotations

from contextlib import suppress

from conversion.backends import Capability
from conversion.core.errors import UserError
from conversion.core.measurement import Measurement
from conversion.proof.checks.case import Case
from conversion.proof.checks.fault_effects import effects, extent
from conversion.proof.checks.logits import logits_of
from conversion.proof.metrics.compare import Incomparable, NoPower
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.visibility import STORED, Sight, visibility
from conversion.proof.standard.sample import sample


def faults_visible(case: Case) -> list[Measurement]:
    """How many standard faults would be seen; nothing where a model can have none.

    Raises:
        NoTruth: a layer cannot be evaluated.
    """
    faults = list(sample(case.workspace.spec))
    if not faults:
        return []
    reference, held = case.workspace.layers, _held(case)
    points = compared(case)
    asked, sights = extent(reference, faults, points), []
    found = effects(reference, asked.faults, points, case.heads_compared, asked.images)
    for fault, (by, times) in zip(asked.faults, found, strict=True):
        located = fault.alone and any(id(array) in held for array in fault.changed)
        at = STORED if located and times <= 1 else by
        sights.append(Sight(fault.magnitude, fault.layer.name, at, times))
    weighted = {fault.layer.name for fault in asked.faults if fault.layer.weights}
    said = [case.workspace.images.chosen]
    if len(asked.faults) < len(faults):
        said.append(f"of {len(faults)}, as many as cost no more than the layers' truth were asked")
    words = "; ".join(filter(None, said))
    return [visibility(case.about, sights, weighted, asked.images, words)]


def compared(case: Case) -> dict[str, Difference]:
    """Keras's noise at the layers that are compared in the artifact, its outputs among them."""
    found: dict[str, Difference] = {}
    with suppress(NoPower, Incomparable):  # the outputs' own measurement says so
        found |= {each.output: each for each in case.noise}
        found |= {(key := logits_of(name)): each.noise(key) for name, each in case.logits.items()}
    try:
        case.require_map()
        seen = case.taps.seen if case.backend.offers(Capability.TAPS) else {}
    except UserError:  # the check of layers says so
        seen = {}
    if seen:
        noise = case.workspace.layers.noise
        tapped = {name: noise[name] for name in seen}
        found |= {name: each for name, each in tapped.items() if isinstance(each, Difference)}
    return found


def _held(case: Case) -> set[int]:
    """The spec's weights that the file is known to have, element by element."""
    if not case.backend.offers(Capability.STORED_WEIGHTS):
        return set()
    try:
        case.backend.capability(Capability.STORED_WEIGHTS)(case)
    except UserError:  # the check of weights says so
        return set()
    return case.held
