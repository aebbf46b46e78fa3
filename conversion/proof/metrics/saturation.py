"""What 16-bit sums of uint8 x int8 products do to an int8 file on CPUs without VNNI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import Incomparable, NoPower, compare
from conversion.proof.metrics.margins import answers
from conversion.proof.metrics.quantities import SATURATION_ANSWERS, SATURATION_LOGITS

REMEDY = (
    "leave it in float (float_layers), or set session.x64quantprecision where the CPU lacks VNNI"
)


@dataclass(frozen=True)
class Sums:
    """The sums of pairs of products in one layer.

    Attributes:
        layer: the layer, or its node where that is not known.
        operator: what computes it.
        worst: the largest sum of two neighbours over what 16 bits hold, for any activations.
        any_order: the same for the worst two weights of an output, were they neighbours.
        risky: pairs of weights that can saturate.
        pairs: pairs of weights.
        saturated: share of the sums that do on the images; None where that was not emulated.
        changed: share of the layer's results that its own saturation changes; None likewise.
        faithful: whether the emulation without saturation gives ONNX Runtime's bits.
    """

    layer: str
    operator: str
    worst: float
    any_order: float
    risky: int
    pairs: int
    saturated: float | None = None
    changed: float | None = None
    faithful: bool = True


@dataclass(frozen=True, eq=False)
class Effect:
    """A network's results without saturation and with it.

    Attributes:
        last: of its last layer that multiplies integers, two of ``(N, ...)`` integers.
        scores: its output, two of ``(N, C)``; None where that is no row of scores.
        deployed: whether the file as deployed gives one of the two, bit by bit.
    """

    last: tuple[np.ndarray, np.ndarray]
    scores: tuple[np.ndarray, np.ndarray] | None
    deployed: bool = True


def saturation(about: About, layers: Sequence[Sums], effect: Effect | None) -> list[Measurement]:
    """A file gives on CPUs without VNNI what it gives with it.

    Args:
        about: what is measured.
        layers: the layers that multiply uint8 by int8, in order; at least one.
        effect: what the emulation gave; None where the weights alone exclude saturation.
    """
    rows = tuple(_row(layer) for layer in layers)
    logits, odd = SATURATION_LOGITS, [e.layer for e in layers if e.worst > 1 and _unknown(e)]
    if effect is not None and not effect.deployed:
        odd.append("the whole network")
    if odd:
        reason = (
            "sums can leave 16 bits, and the emulation does not give ONNX Runtime's results in "
            f"{', '.join(odd)}"
        )
        return [_undecided(about, reason, rows)]
    if effect is None:
        worst = max(layers, key=lambda layer: layer.worst)
        reason = (
            f"no sum of two products can leave 16 bits: the largest, in {worst.layer}, takes "
            f"{100 * worst.worst:.0f} % of them"
        )
        return [about.measure(logits, 0.0, reason, rows=rows)]
    try:
        (difference,) = compare({"last": effect.last[0]}, {"last": effect.last[1]})
    except (NoPower, Incomparable) as error:
        return [_undecided(about, f"no power: {error}", rows)]
    most = max(layers, key=lambda layer: layer.changed or 0.0)
    values = [(logits, difference.rms / difference.spread)]
    flipped, count = None, len(effect.last[0])
    if effect.scores is not None:
        exact, wrong = (answers(each) for each in effect.scores)
        flipped = int(np.count_nonzero(exact != wrong))
        values.append((SATURATION_ANSWERS, 100 * flipped / count))
    sentence = _sentence(most, flipped, count)
    found = [about.measure(what, value, sentence, n=count, rows=rows) for what, value in values]
    return [
        replace(m, layer=most.layer, reason=f"{sentence}: {REMEDY}")
        if m.verdict is Verdict.FAIL
        else m
        for m in found
    ]


def _undecided(about: About, reason: str, rows: tuple[dict[str, Any], ...]) -> Measurement:
    limit = limits.SATURATION_LOGITS.value
    verdict = Verdict.UNDECIDED
    return about.measure(SATURATION_LOGITS, None, reason, verdict=verdict, limit=limit, rows=rows)


def _unknown(layer: Sums) -> bool:
    return layer.changed is None or not layer.faithful


def _sentence(most: Sums, flipped: int | None, images: int) -> str:
    if not most.changed:
        return f"without VNNI no result of any layer changes on {images} images"
    found = "" if flipped is None else f", and {flipped} of {images} answers"
    return (
        f"without VNNI {100 * (most.saturated or 0.0):.2g} % of the sums of two products in "
        f"{most.layer} saturate, which changes {100 * most.changed:.2g} % of its results{found}"
    )


def _row(layer: Sums) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "operator": layer.operator,
        "worst pair, x 16 bits": round(layer.worst, 3),
        "in any order": round(layer.any_order, 3),
        "pairs that can saturate": f"{layer.risky} of {layer.pairs}",
        "sums that saturate, %": _percent(layer.saturated),
        "results changed, %": _percent(layer.changed),
        "bit by bit": layer.faithful,
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else float(f"{100 * share:.3g}")
