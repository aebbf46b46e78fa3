"""How often an int8 artifact gives the float artifact's answer."""

from __future__ import annotations

import numpy as np

from conversion.core.measurement import Measurement, Verdict, judged
from conversion.core.quantity import About, Quantity
from conversion.proof.metrics.compare import Incomparable, NoPower
from conversion.proof.metrics.margins import margins
from conversion.proof.metrics.quantities import AGREEMENT

CONFIDENCE = 0.95


def agreement(
    about: About,
    baseline: np.ndarray,
    candidate: np.ndarray,
    limit: float,
    against: str,
    cached: bool = False,
    what: Quantity = AGREEMENT,
) -> list[Measurement]:
    """How often an int8 artifact gives the float artifact's answer.

    Pass at the limit or above it; fail where the whole 95 % interval lies below; undecided between.
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
    """
    try:
        found = margins(baseline, candidate, "none")
    except (Incomparable, NoPower) as error:
        verdict = Verdict.FAIL if isinstance(error, Incomparable) else Verdict.UNDECIDED
        return [about.measure(what, reason=str(error), verdict=verdict)]
    n, equal = len(found.flipped), int(np.count_nonzero(~found.flipped))
    value, (low, high) = 100 * equal / n, share_interval(equal, n)
    verdict, reason = judged(value, ">=", limit), ""
    if verdict is Verdict.FAIL:
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
