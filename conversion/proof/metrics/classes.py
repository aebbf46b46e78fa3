"""Changes of accuracy class by class: an overall drop of 1.6 points can hide one class losing 6."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics.accuracy import Change, Tally, class_name, paired_change
from conversion.proof.metrics.quantities import CLASS_CHANGE

SIGNIFICANCE = 0.05
"""Of all classes together: how often one of them is called lost by chance."""


@dataclass(frozen=True)
class ClassChange:
    """What one class lost.

    Attributes:
        name: the class.
        change: over its images.
        p: how likely such a loss is by chance, if the class lost no more than the margin.
    """

    name: str
    change: Change
    p: float


def class_changes(
    baseline: Tally,
    candidate: Tally,
    labels: np.ndarray,
    margin: float,
    classes: tuple[str, ...] = (),
) -> list[ClassChange]:
    """The paired change of every class that has images.

    Args:
        baseline: the tally to compare with.
        candidate: the artifact's tally, over the same images.
        labels: ``(N,)`` integers, the images' classes.
        margin: the largest loss that a class may have, as a negative number of points.
        classes: class names; may be empty.
    """
    found = []
    for label in np.unique(labels).tolist():
        own = labels == label
        change = paired_change(baseline.correct[own], candidate.correct[own])
        found.append(ClassChange(class_name(classes, label), change, loss_p(change, margin)))
    return found


def loss_p(change: Change, margin: float) -> float:
    """One-sided p of a loss beyond the margin, from the counts of lost and gained answers.

    Lost and gained answers are two rare counts over the same n images, and the change is the
    difference of their rates: the E-test of two Poisson means (Krishnamoorthy and Thomson, Journal
    of Statistical Planning and Inference 119, 2004, 23-35), whose p is a sum over exact
    probabilities. A binomial test on the differing answers, as McNemar's, is exact for a margin of
    0 only: their number itself grows with the loss.

    Args:
        change: of one class.
        margin: as a negative number of points.
    """
    from scipy.stats import poisson_means_test

    return float(
        poisson_means_test(
            change.lost,
            change.n,
            change.gained,
            change.n,
            diff=-margin / 100,
            alternative="greater",
        ).pvalue
    )


def class_change(
    about: About,
    found: list[ClassChange],
    margin: float | None,
    cached: bool,
    concerns: Concern = Concern.COST,
) -> Measurement:
    """The class that lost most, and whether any is shown to have lost more than the margin.

    Fail where a class is shown to: its p, times the number of classes (Bonferroni), is below 5 %.
    Pass where none has: by its interval for what a user allows, as measured for our own limit.
    Undecided between.

    Args:
        about: what is measured.
        found: the change of every class.
        margin: as a negative number of points; None where the classes are reported only.
        cached: whether the predictions were kept from an earlier run.
        concerns: a cost where the margin is what a user allows.
    """
    demanded = concerns is Concern.COST and margin is not None

    def least(each: ClassChange) -> float:
        return each.change.interval[0] if demanded else each.change.points

    worst = min(found, key=lambda each: (least(each), each.p))
    surest = min(found, key=lambda each: each.p)
    verdict, reason = Verdict.PASS, f"class {worst.name} lost most"
    if margin is not None and surest.p * len(found) < SIGNIFICANCE:
        worst, verdict = surest, Verdict.FAIL
        lost = f"lost {surest.change.lost} of {surest.change.n} answers, gained "
        reason = f"class {surest.name} {lost}{surest.change.gained}: p = {surest.p:.2g}, times "
        reason += f"{len(found)} classes"
    elif margin is not None and least(worst) < margin:
        z = NormalDist().inv_cdf(1 - SIGNIFICANCE / len(found))
        needed = worst.change.settled_by(margin, z)
        settles = "no number of images" if needed is None else f"about {needed} images a class"
        verdict = Verdict.UNDECIDED
        reason += f", which may be chance for {len(found)} classes; {settles} would settle it"
    return about.measure(
        CLASS_CHANGE,
        worst.change.points,
        reason,
        verdict=verdict,
        limit=margin,
        interval=worst.change.interval,
        n=worst.change.n,
        cached=cached,
        rows=tuple(
            {
                "class": each.name,
                "images": each.change.n,
                "lost": each.change.lost,
                "gained": each.change.gained,
                "points": each.change.points,
                "p": each.p,
            }
            for each in found
        ),
        concerns=concerns,
        lacks_images=verdict is Verdict.UNDECIDED,
    )
