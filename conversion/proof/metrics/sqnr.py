"""What eight bits cost at every layer: signal to quantization noise, and who does the damage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics import limits
from conversion.proof.metrics.quantities import LAYER_SQNR

EXACT = 150.0
"""Shown for no noise at all, in dB; float32 itself reaches about 140."""


SURE = 2.0
"""Standard deviations by which noises that are alike may be apart."""


@dataclass(frozen=True)
class LayerSqnr:
    """What quantization costs at one layer.

    Attributes:
        layer: the layer, or the layers that are computed together, joined by ``+``.
        reached: SQNR of what has gathered up to here, in dB against the float64 truth.
        own: SQNR of what the layer adds itself, for the inputs that it has in the file, in dB.
        ideal: the same if its kernel and its result were rounded to the file's steps, and nothing
            else were done.
        weights: SQNR of its kernel as stored, in dB; None where it has none that can be read.
        damage: rms change of the outputs that its own noise alone causes, as a share of their
            spread.
        chance: how far `own` and `ideal` may be apart because either comes from few values, in dB.
    """

    layer: str
    reached: float
    own: float
    ideal: float
    weights: float | None
    damage: float
    chance: float = 0.0

    @property
    def least(self) -> float:
        """What the layer must reach of its own, in dB."""
        return min(self.ideal + limits.IDEAL.value - self.chance, limits.SQNR.value)


class Sqnr:
    """Signal to quantization noise ratio, a chunk of values at a time."""

    def __init__(self) -> None:
        self._power, self._lost, self._fourth = 0.0, 0.0, 0.0

    def add(self, signal: np.ndarray, found: np.ndarray) -> None:
        """Add values.

        Args:
            signal: what should be there, any shape.
            found: the same shape.

        Raises:
            ValueError: the shapes differ, or a value is not finite.
        """
        if signal.shape != found.shape:
            raise ValueError(f"shape {found.shape}, not {signal.shape}")
        noise = np.asarray(found, np.float64) - signal
        if not np.isfinite(noise).all():
            raise ValueError("values that are NaN or Inf")
        self._power += float(np.square(np.asarray(signal, np.float64)).sum())
        squares = np.square(noise)
        self._lost += float(squares.sum())
        self._fourth += float(np.square(squares).sum())  # `noise**4` takes ten times as long

    @property
    def count(self) -> float:
        """How many values the noise comes from: ``sum(e^2)^2 / sum(e^4)``, few where few jump."""
        return self._lost**2 / self._fourth if self._fourth > 0.0 else np.inf

    @property
    def decibels(self) -> float:
        """``10 log10(sum(x^2) / sum((q - x)^2))``."""
        if self._lost == 0.0:
            return EXACT
        return float(min(EXACT, 10 * np.log10(max(self._power, 1e-300) / self._lost)))


def chance(*noises: Sqnr) -> float:
    """How far the power of two noises may be apart where they are alike, in dB.

    An activation that jumps, such as hard_shrink, adds most of its noise at the few values that
    rounding moves over its edge: which those are is chance. The power of a noise of n such values
    is sure to ``1 / sqrt(n)``; the bound is `SURE` of these.

    Args:
        noises: the ratios of both.
    """
    return float(10 * np.log10(1 + SURE * np.sqrt(sum(1 / each.count for each in noises))))


def sqnr(signal: np.ndarray, found: np.ndarray) -> float:
    """Signal to quantization noise ratio in dB.

    Args:
        signal: what should be there, any shape.
        found: the same shape.

    Raises:
        ValueError: the shapes differ, or a value is not finite.
    """
    whole = Sqnr()
    whole.add(signal, found)
    return whole.decibels


def layer_sqnr(
    about: About,
    layers: Sequence[LayerSqnr],
    odd: str,
    another: str,
    n: int,
    unlike: str = "",
    floor: float = 0.0,
) -> list[Measurement]:
    """The SQNR of the layer that is nearest to its limit, and all layers ranked by damage.

    Named is the first that has too little: what follows an error is not to blame.

    Args:
        about: what is measured.
        layers: one a layer that can be seen, in the spec's order.
        odd: a layer whose values are no numbers; empty where all are.
        another: how the network that is tapped differs from the deployed one.
        n: images.
        unlike: a layer in whose place the file has a tensor of another shape: it was not found, so
            the rest alone can be too bad, and not be good enough.
        floor: what every layer must reach besides, in dB.
    """
    if odd or not layers:
        verdict = Verdict.FAIL if odd else Verdict.UNDECIDED
        reason = odd or "no layer of the model was found in the file"
        return [about.measure(LAYER_SQNR, reason=reason, verdict=verdict)]
    least = {each.layer: max(each.least, floor) for each in layers}
    worst = min(layers, key=lambda each: each.own - least[each.layer])
    shown = next((each for each in layers if each.own < least[each.layer]), worst)
    ranked = sorted(layers, key=lambda each: -each.damage)
    said = (
        f"ideal rounding would leave {shown.ideal:.3g} dB",
        f"most damage: {', '.join(f'{e.layer} {e.damage:.2%}' for e in ranked[:3])}",
        another,
    )
    return [
        about.measure(
            LAYER_SQNR,
            shown.own,
            "; ".join(filter(None, said)),
            limit=least[shown.layer],
            doubt=unlike,
            layer=shown.layer.rpartition("+")[2],
            n=n,
            rows=tuple(asdict(each) for each in ranked),
        )
    ]
