"""Right answers as counts, and changes of accuracy on paired predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from conversion.core import digest
from conversion.core.measurement import (
    Concern,
    Measurement,
    Verdict,
    judged,
)
from conversion.core.quantity import About, Details
from conversion.proof.metrics.quantities import (
    FLOAT_CHANGE,
    INT8_CHANGE,
    NON_INFERIORITY,
    TOP1_CORRECT,
    TOP1_FLIPS,
)

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

NO_BETTER = "no better than the commonest class alone"
UNLIKELY = (
    "are the images prepared as in training (--scale, --preprocess), and are the labels the "
    "model's?"
)
"""What is said of a model that is hardly ever right, which is no fault of a conversion."""

ONE_ANSWER = 0.95
"""Part of the answers that are one class: of a model that was given other images than in training,
where fewer than half of the images have that label."""


@dataclass(frozen=True, eq=False)
class Tally:
    """How often a model is right, in counts.

    Attributes:
        predictions: ``(N,)`` int64, the index of the largest output.
        correct: ``(N,)`` bool.
        confusion: ``(C, C)`` int64, true class by predicted class.
    """

    predictions: np.ndarray
    correct: np.ndarray
    confusion: np.ndarray

    def __repr__(self) -> str:
        return f"<Tally: {self.hits} of {self.n} right ({100 * self.hits / self.n:.2f} %)>"

    @property
    def n(self) -> int:
        """How many images."""
        return len(self.predictions)

    @property
    def hits(self) -> int:
        """How many right answers."""
        return int(self.correct.sum())

    @property
    def per_class(self) -> tuple[tuple[int, int], ...]:
        """For each class its right answers and its images."""
        totals = self.confusion.sum(axis=1)
        return tuple(zip(self.confusion.diagonal().tolist(), totals.tolist(), strict=True))


def tally(outputs: np.ndarray, labels: np.ndarray) -> Tally:
    """Count right answers.

    Args:
        outputs: ``(N, C)`` scores, or ``(N, 1)`` sigmoid probabilities of class 1.
        labels: ``(N,)`` integers.

    Returns:
        The tally.

    Raises:
        ValueError: no images, another number of labels than of outputs, or NaN among the scores
            (whose largest would be class 0), or a label below 0 (which would count from the end).
    """
    if len(outputs) != len(labels) or len(labels) == 0:
        raise ValueError(f"{len(outputs)} outputs for {len(labels)} labels")
    if not np.isfinite(outputs).all():
        raise ValueError("NaN or Inf among the outputs")
    if labels.min() < 0:
        raise ValueError(f"label {int(labels.min())}; classes are counted from 0")
    binary = outputs.shape[1] == 1
    predictions = (outputs[:, 0] > 0.5).astype(np.int64) if binary else outputs.argmax(axis=1)
    classes = max(2 if binary else outputs.shape[1], int(labels.max()) + 1)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    return Tally(predictions, predictions == labels, confusion)


def top1_correct(
    about: About, found: Tally, floor: float | None, classes: tuple[str, ...], cached: bool
) -> Measurement:
    """The count of right answers.

    Args:
        about: what is measured.
        found: the tally.
        floor: the least share of right answers, in percent; None where the subject states none:
            then a count that the commonest class alone would give is said, and one answer to nearly
            all images, which are no failure.
        classes: class names for the rows; may be empty.
        cached: whether the predictions were kept from an earlier run.
    """
    commonest = int(found.confusion.sum(axis=1).max()) + 1
    limit = commonest if floor is None else int(np.ceil(floor * found.n / 100))
    verdict = judged(found.hits, ">=", limit)
    rows = tuple(
        {
            "class": class_name(classes, index),
            "correct": correct,
            "images": images,
            "predicted": found.confusion[index].tolist(),
        }
        for index, (correct, images) in enumerate(found.per_class)
    )
    if floor is not None:
        reasons = [_worst_class(found, classes)] if verdict is Verdict.FAIL else []
    elif unlikely := _one_answer(found, classes) or (NO_BETTER if verdict is Verdict.FAIL else ""):
        verdict = Verdict.UNDECIDED
        reasons = [f"{unlikely}: {UNLIKELY}", _worst_class(found, classes)]
    else:
        reasons = ["the limit is one more than the commonest class"]
    return about.measure(
        TOP1_CORRECT,
        found.hits,
        "; ".join(reasons),
        verdict=verdict,
        limit=limit,
        n=found.n,
        cached=cached,
        digest=digest.of_arrays([found.predictions]),
        rows=rows,
        concerns=Concern.ADVICE if floor is None else Concern.CONVERSION,
    )


def _one_answer(found: Tally, classes: tuple[str, ...]) -> str:
    """That nearly all answers are one class that is not that of nearly all images, in words."""
    called = found.confusion.sum(axis=0)
    most = int(called.argmax())
    if called[most] < ONE_ANSWER * found.n or 2 * found.confusion[most].sum() >= found.n:
        return ""
    return f"{called[most]} of {found.n} answers are {class_name(classes, most, 'class ')}"


def class_name(classes: Sequence[str], index: int, word: str = "") -> str:
    """The name of a class, or its number where it has none.

    Args:
        classes: class names; may be empty.
        index: of the class.
        word: stands before a number.
    """
    return classes[index] if index < len(classes) else f"{word}{index}"


def _worst_class(found: Tally, classes: tuple[str, ...]) -> str:
    """What the class that loses most is taken for, in words."""
    shares = found.confusion.diagonal() / np.maximum(found.confusion.sum(axis=1), 1)
    worst = int(np.where(found.confusion.sum(axis=1) > 0, shares, 2.0).argmin())
    others = found.confusion[worst].copy()
    others[worst] = -1
    names = [class_name(classes, index) for index in (worst, int(others.argmax()))]
    return f"of class {names[0]} {shares[worst]:.0%} are right; most others are called {names[1]}"


@dataclass(frozen=True)
class Change:
    """A change of accuracy on the same images.

    Attributes:
        lost: images that the baseline had right and the candidate has not.
        gained: the other way round.
        points: candidate less baseline, in points.
        interval: the 95 % interval of it, in points.
        n: images.
    """

    lost: int
    gained: int
    points: float
    interval: tuple[float, float]
    n: int

    @property
    def mcnemar(self) -> float:
        """Exact two-sided p of McNemar's test; reported and no gate.

        A correct int8 model flips many answers both ways, and the p of one says nothing of the
        size of a change.
        """
        from scipy.stats import binomtest

        differing = self.lost + self.gained
        return float(binomtest(self.lost, differing).pvalue) if differing else 1.0

    def settled_by(self, margin: float, z: float = _Z) -> int | None:
        """How many images would settle on which side of a margin the change lies.

        The interval is centre +- z s / sqrt(n + 2) (see `paired_change`), with s^2 the variance of
        one pair; at the same rate of differing answers it clears the margin from
        n = (z s / |centre - margin|)^2 - 2 on.

        Args:
            margin: in points.
            z: half-width of the interval in standard deviations; 95 % by default.

        Returns:
            The number of images; None where the change is the margin itself.
        """
        centre, spread = _centre(self.lost, self.gained, self.n)
        distance = abs(centre - margin / 100)
        return None if distance == 0 else math.ceil((z * spread / distance) ** 2 - 2)


def paired_change(baseline: np.ndarray, candidate: np.ndarray) -> Change:
    """The change of accuracy with its interval, from paired answers.

    The interval is Agresti and Min's adjusted Wald interval for matched pairs (Statistics in
    Medicine 24, 2005, 729-740): half a count is added to each cell of the table.

    Args:
        baseline: ``(N,)`` bool, whether the baseline is right.
        candidate: ``(N,)`` bool, whether the candidate is right.
    """
    if len(baseline) != len(candidate):
        raise ValueError(f"{len(baseline)} answers against {len(candidate)}")
    lost = int(np.count_nonzero(baseline & ~candidate))
    gained = int(np.count_nonzero(~baseline & candidate))
    n = len(baseline)
    centre, spread = _centre(lost, gained, n)
    reach = _Z * spread / math.sqrt(n + 2)
    interval = (100 * (centre - reach), 100 * (centre + reach))
    return Change(lost, gained, 100 * (gained - lost) / n, interval, n)


def _centre(lost: int, gained: int, n: int) -> tuple[float, float]:
    """The adjusted change and the standard deviation of one pair, as shares."""
    size, b, c = n + 2, lost + 0.5, gained + 0.5
    centre = (c - b) / size
    return centre, math.sqrt((b + c) / size - centre**2)


def top1_change(
    about: About,
    baseline: Tally,
    candidate: Tally,
    limit: float | None,
    topic: str,
    cached: bool,
) -> Measurement:
    """The change of accuracy against a baseline, as measured.

    Args:
        about: what is measured.
        baseline: the tally to compare with.
        candidate: the artifact's tally, over the same images.
        limit: the least change, in points; None where it is reported only.
        topic: ``accuracy`` or ``quantization``.
        cached: whether the predictions were kept from an earlier run.
    """
    change = paired_change(baseline.correct, candidate.correct)
    what, reason = FLOAT_CHANGE, ""
    if topic == "quantization":
        counts = f"{change.lost} answers lost, {change.gained} gained"
        what, reason = INT8_CHANGE, f"{counts}: exact McNemar p = {change.mcnemar:.2g}, no gate"
    details = _of_change(change, cached)
    return about.measure(what, change.points, reason, limit=limit, **details)


def top1_non_inferiority(
    about: About,
    baseline: Tally,
    candidate: Tally,
    margin: float,
    cached: bool,
    concerns: Concern = Concern.COST,
) -> Measurement:
    """Whether the loss of accuracy is shown to be smaller than the margin.

    Pass where no part of the interval lies below the margin, fail where all of it does; else
    undecided, and the reason says how many images would settle it.

    Args:
        about: what is measured.
        baseline: the tally to compare with.
        candidate: the artifact's tally, over the same images.
        margin: the largest loss that may be, as a negative number of points.
        cached: whether the predictions were kept from an earlier run.
        concerns: a cost where the margin is what a user allows.
    """
    change = paired_change(baseline.correct, candidate.correct)
    low, high = change.interval
    verdict, reason = Verdict.PASS, ""
    if high < margin:
        verdict, reason = Verdict.FAIL, "the whole interval lies below the margin"
    elif low < margin:
        needed = change.settled_by(margin)
        settles = "no number of images" if needed is None else f"about {needed} images"
        verdict = Verdict.UNDECIDED
        reason = f"the interval reaches over the margin; {settles} would settle it"
    details = _of_change(change, cached)
    details |= {"concerns": concerns, "lacks_images": verdict is Verdict.UNDECIDED}
    return about.measure(NON_INFERIORITY, low, reason, verdict=verdict, limit=margin, **details)


def _of_change(change: Change, cached: bool) -> Details:
    counts = {"lost": change.lost, "gained": change.gained, "mcnemar": change.mcnemar}
    return {"interval": change.interval, "n": change.n, "cached": cached, "rows": (counts,)}


def same_answers(
    about: About,
    baseline: Tally,
    candidate: Tally,
    unsure: np.ndarray,
    cached: bool,
) -> Measurement:
    """A float artifact gives Keras's answer to every image that rounding cannot decide.

    Args:
        about: what is measured.
        baseline: Keras's tally.
        candidate: the artifact's tally.
        unsure: ``(N,)`` bool, images whose top two logits lie within the rounding noise.
        cached: whether the predictions were kept from an earlier run.
    """
    flipped = (baseline.predictions != candidate.predictions) & ~unsure
    return about.measure(
        TOP1_FLIPS,
        int(flipped.sum()),
        f"{int(unsure.sum())} images lie within the rounding noise" if unsure.any() else "",
        n=len(flipped),
        cached=cached,
        rows=tuple({"image": int(index)} for index in np.flatnonzero(flipped)[:20]),
    )
