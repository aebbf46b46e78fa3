"""Do two disjoint calibration sets give the same artifact, as far as anybody can tell?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from conversion.core.measurement import (
    Concern,
    Measurement,
    Verdict,
    judged,
)
from conversion.core.quantity import About
from conversion.proof.metrics import limits
from conversion.proof.metrics.accuracy import Change
from conversion.proof.metrics.agreement import agreement
from conversion.proof.metrics.quantities import (
    STABILITY_AGREEMENT,
    STABILITY_CHANGE,
    STABILITY_VERDICT,
)

OTHER = "the other artifact"
"""What the artifact of the other images is called."""


def stability_verdict(
    about: About,
    one: Sequence[Measurement],
    other: Sequence[Measurement],
    change: Change,
    concerns: Concern,
) -> Measurement:
    """The accuracy gates say the same of both artifacts.

    Fail where a gate passes one artifact and fails the other, and the two differ by more than
    chance; undecided where the gates say something else otherwise.

    Args:
        about: what is measured.
        one: what the gates measured on the artifact.
        other: the same of the artifact of the other images.
        change: of accuracy between the two.
        concerns: a cost where the gates are what a user allows.
    """
    low, high = change.interval
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a.verdict is not b.verdict]
    opposed = [p for p in pairs if {p[0].verdict, p[1].verdict} == {Verdict.PASS, Verdict.FAIL}]
    verdict = Verdict.UNDECIDED if pairs else Verdict.PASS
    if opposed and not low <= 0 <= high:
        verdict = Verdict.FAIL
    said = (f"{a.name} is {a.verdict} here and {b.verdict} for {OTHER}" for a, b in pairs)
    return about.measure(
        STABILITY_VERDICT,
        len(pairs),
        "; ".join(said),
        verdict=verdict,
        n=change.n,
        concerns=concerns,
        lacks_images=verdict is Verdict.UNDECIDED,
    )


def stability_change(about: About, change: Change) -> Measurement:
    """The two artifacts are right equally often.

    Pass within the limit as measured; fail where the whole interval lies beyond it; undecided
    between.

    Args:
        about: what is measured.
        change: of accuracy, from the artifact of the other images to this one.
    """
    value, limit, (low, high) = abs(change.points), limits.STABLE.value, change.interval
    verdict, reason = judged(value, "<=", limit), ""
    if verdict is Verdict.FAIL:
        reason = f"of {OTHER}'s right answers {change.lost} are lost and {change.gained} gained"
        if low <= limit and high >= -limit:
            verdict, reason = Verdict.UNDECIDED, f"{reason}; the interval reaches over the limit"
    return about.measure(
        STABILITY_CHANGE,
        value,
        reason,
        verdict=verdict,
        interval=change.interval,
        n=change.n,
        rows=({"lost": change.lost, "gained": change.gained, "mcnemar": change.mcnemar},),
        lacks_images=verdict is Verdict.UNDECIDED,
    )


def stability_agreement(about: About, one: np.ndarray, other: np.ndarray) -> list[Measurement]:
    """The two artifacts give the same answers.

    Args:
        about: what is measured.
        one: ``(N, C)`` scores of the artifact.
        other: the same of the artifact of the other images.
    """
    limit = limits.STABLE_AGREEMENT.value
    return agreement(about, other, one, limit, OTHER, what=STABILITY_AGREEMENT)


def reported(measured: Measurement) -> Measurement:
    """The same without a limit: those of our own quantizers say nothing of a user's network."""
    if measured.value is None:
        return measured
    found = replace(measured, verdict=Verdict.PASS, relation="", limit=None, lacks_images=False)
    return replace(found, reason="reported; no limit holds for any network")
