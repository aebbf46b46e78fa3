"""Which answers cannot change: an error below half the gap between the top two never flips one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import compare
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.quantities import MARGIN_CERTIFIED, MARGIN_LOST
from conversion.proof.metrics.views import SATURATED, VIEWS

LISTED = 50
"""Images that a report lists."""
SLACK = 2.0**-40
"""Of the values: what float64 itself may round in a gap and a difference, many times over."""


@dataclass(frozen=True, eq=False)
class Margins:
    """How far every answer is from another one, and how far a candidate has moved it.

    Attributes:
        gaps: ``(N,)`` float64, the reference's largest score less its second.
        differences: ``(N,)`` float64, the largest difference of a score.
        certified: ``(N,)`` bool, where the difference is below half the gap: whichever scores have
            moved, the largest is still the largest.
        flipped: ``(N,)`` bool, where the answer is another one.
    """

    gaps: np.ndarray
    differences: np.ndarray
    certified: np.ndarray
    flipped: np.ndarray

    @property
    def share(self) -> float:
        """Certified images, in percent."""
        return 100 * float(self.certified.mean())

    def tolerance(self) -> str:
        """What an error means for decisions, in words."""
        half = float(self.gaps.min()) / 2
        moved = float(self.differences.max())
        return (
            f"an error up to {half:.3g} cannot change any of these {len(self.gaps)} answers; the "
            f"largest is {moved:.3g}"
        )

    def rows(self, which: np.ndarray) -> tuple[dict[str, float | int | bool], ...]:
        """Images for a report, at most `LISTED` of them.

        Args:
            which: ``(N,)`` bool.
        """
        return tuple(
            {
                "image": int(index),
                "gap": float(self.gaps[index]),
                "difference": float(self.differences[index]),
                "differs": bool(self.flipped[index]),
            }
            for index in np.flatnonzero(which)[:LISTED]
        )


def answers(outputs: np.ndarray) -> np.ndarray:
    """The answer to each image, ``(N,)`` int64.

    Args:
        outputs: ``(N, C)`` scores, or ``(N, 1)`` sigmoid probabilities of class 1.
    """
    if outputs.shape[1] == 1:
        return np.asarray(outputs[:, 0] > 0.5, dtype=np.int64)
    return np.asarray(outputs.argmax(axis=1))


def margins(reference: np.ndarray, candidate: np.ndarray, head: str) -> Margins:
    """Gaps of the reference beside what the candidate has moved.

    Args:
        reference: ``(N, C)`` scores, or ``(N, 1)`` sigmoid probabilities.
        candidate: the same, float32.
        head: ``softmax`` for the scores of a softmax, compared as centred logarithms, and so on as
            in `VIEWS`.

    Raises:
        Incomparable: the candidate has another shape or dtype, or NaN or Inf.
        NoPower: the reference is empty, not finite or flat.
    """
    view = VIEWS[head]
    compare({"scores": reference}, {"scores": candidate}, {"scores": view}, np.float32)
    ours = np.asarray(view(reference), dtype=np.float64)
    theirs = np.asarray(view(candidate), dtype=np.float64)
    differences = np.abs(theirs - ours).max(axis=1)
    if ours.shape[1] == 1:
        middle = {"none": 0.5, SATURATED: 1.5}.get(head, 0.0)
        gaps = 2 * np.abs(ours[:, 0] - middle)  # half of it is the way to the other answer
    else:
        two = np.partition(ours, -2, axis=1)
        gaps = two[:, -1] - two[:, -2]
    rounding = SLACK * np.maximum(np.abs(ours).max(axis=1), np.abs(theirs).max(axis=1))
    certified = gaps - 2 * differences > rounding
    return Margins(gaps, differences, certified, answers(reference) != answers(candidate))


def certificate(
    about: About,
    output: str,
    found: Margins,
    noise: Difference,
    cached: bool = False,
    doubt: str = "",
) -> list[Measurement]:
    """Every answer of a float artifact is certified, unless rounding alone could change it.

    Args:
        about: what is measured.
        output: the output's name.
        found: Keras's gaps and what the artifact has moved.
        noise: Keras's own distance from the truth in the same view.
        cached: whether the artifact's outputs were kept from an earlier run.
        doubt: why Keras's noise is not to be believed; empty where it is. What it reaches is not
            known then: answers that are not certified and do not flip leave it open.

    Returns:
        The certified share beside the share that rounding cannot reach, and how many images beyond
        its reach are not certified.
    """
    reach = 2 * limits.REACH.value * noise.rms
    beyond = found.gaps > reach
    lost = beyond & ~found.certified
    within = int(np.count_nonzero(~beyond))
    share, least = found.share, 100 * float(beyond.mean())
    words = f"{within} within the reach of rounding ({reach:.2g})" if within else ""
    flips = int(np.count_nonzero(found.flipped & lost))
    odd = f"{int(lost.sum())} images are not certified, {flips} of them flip" if lost.any() else ""
    n, open_ = len(found.gaps), bool(doubt) and bool(lost.any()) and not flips
    verdict, doubt = (Verdict.UNDECIDED, doubt) if open_ else (None, "")
    return [
        about.measure(
            MARGIN_CERTIFIED,
            share,
            "; ".join(filter(None, (doubt, found.tolerance(), words))),
            verdict=verdict if share < least else None,
            limit=least,
            layer=output,
            n=n,
            cached=cached,
            rows=found.rows(~found.certified),
        ),
        about.measure(
            MARGIN_LOST,
            int(np.count_nonzero(lost)),
            "; ".join(filter(None, (doubt, odd))),
            verdict=verdict,
            layer=output,
            n=n,
            cached=cached,
            rows=found.rows(lost),
        ),
    ]
