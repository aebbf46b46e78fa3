"""How often an int8 artifact gives the float artifact's answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conversion.core.measurement import Measurement, Verdict, judged
from conversion.core.quantity import About, Quantity
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import Incomparable, NoPower
from conversion.proof.metrics.margins import margins
from conversion.proof.metrics.quantities import AGREEMENT

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ideal:
    """How many answers ideal rounding changes.

    Attributes:
        changed: answers that it changes.
        n: of how many.
    """

    changed: int
    n: int

    @property
    def limit(self) -> float:
        """The share of equal answers from which on a file is as good, in percent."""
        return 100 - limits.IDEAL_ANSWERS.value * 100 * self.changed / self.n

    def explains(self, changed: int, n: int) -> bool:
        """Whether chance explains that a file changes more than `IDEAL_ANSWERS` allows.

        Args:
            changed: answers that the file changes.
            n: of how many.
        """
        from scipy.stats import binomtest

        both = changed + self.changed  # of which the file has its part, were it at the limit
        weight = limits.IDEAL_ANSWERS.value * n
        chance = binomtest(changed, both, weight / (weight + self.n), "greater").pvalue
        return float(chance) > (1 - CONFIDENCE) / 2

    def __str__(self) -> str:
        return f"ideal rounding to eight bits changes {self.changed} of {self.n}"


def agreement(
    about: About,
    baseline: np.ndarray,
    candidate: np.ndarray,
    limit: float,
    against: str,
    cached: bool = False,
    what: Quantity = AGREEMENT,
    ideal: Ideal | None = None,
) -> list[Measurement]:
    """How often an int8 artifact gives the float artifact's answer.

    Pass at the limit or above it; fail where the whole 95 % interval lies below; undecided between.
    A limit from ideal rounding leaves nothing undecided.
    The certificate of its rows is on the scores as they are: an int8 softmax gives whole 255ths,
    many of them 0, which have no logarithm.

    Args:
        about: what is measured.
        baseline: ``(N, C)`` scores of the float artifact.
        candidate: the same of the int8 artifact.
        limit: the least share of equal answers, in percent.
        against: what the baseline is called.
        cached: whether the candidate's outputs were kept from an earlier run.
        what: what the share is called.
        ideal: what ideal rounding changes, which the limit then follows from; a file is judged by
            whether chance explains that it changes more.
    """
    try:
        found = margins(baseline, candidate, "none")
    except (Incomparable, NoPower) as error:
        verdict = Verdict.FAIL if isinstance(error, Incomparable) else Verdict.UNDECIDED
        return [about.measure(what, reason=str(error), verdict=verdict)]
    n, equal = len(found.flipped), int(np.count_nonzero(~found.flipped))
    value, (low, high) = 100 * equal / n, share_interval(equal, n)
    limit = limit if ideal is None else ideal.limit
    verdict, reason = judged(value, ">=", limit), "" if ideal is None else str(ideal)
    if verdict is Verdict.FAIL and ideal is not None and ideal.explains(n - equal, n):
        verdict = Verdict.PASS
    elif verdict is Verdict.FAIL and ideal is not None:
        reason = f"{n - equal} of {n} answers are not {against}'s; {ideal}"
    elif verdict is Verdict.FAIL:
        reason = f"{n - equal} of {n} answers are not {against}'s"
        if high >= limit:
            verdict, reason = Verdict.UNDECIDED, f"{reason}; the interval reaches over the limit"
    open_ = ~found.certified
    summary = {
        "certified": found.share,
        "not certified": int(open_.sum()),
        "flipped of those": int(np.count_nonzero(found.flipped & open_)),
        "largest change": float(found.differences.max()),
    }
    return [
        about.measure(
            what,
            value,
            reason,
            verdict=verdict,
            limit=limit,
            interval=(low, high),
            n=n,
            cached=cached,
            lacks_images=verdict is Verdict.UNDECIDED,
            rows=(summary, *found.rows(found.flipped)),
        )
    ]


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, in percent.

    Args:
        hits: how often it happened.
        n: of how many.
    """
    from scipy.stats import binomtest

    found = binomtest(hits, n).proportion_ci(CONFIDENCE, method="wilson")
    return 100 * float(found.low), 100 * float(found.high)
