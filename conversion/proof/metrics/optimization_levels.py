"""Does a file mean what its optimised form computes? Two levels of optimisation side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conversion.core.measurement import Measurement
from conversion.core.quantity import About
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import Incomparable, NoPower, compare, uncompared
from conversion.proof.metrics.margins import answers
from conversion.proof.metrics.quantities import LEVELS_ANSWERS, LEVELS_ERROR, LEVELS_LAYERS
from conversion.proof.metrics.views import views_of


def float_levels(
    about: About,
    deployed: Mapping[str, np.ndarray],
    plain: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    noise: Mapping[str, float],
) -> list[Measurement]:
    """A float file gives the same at both levels, up to rounding.

    Args:
        about: what is measured.
        deployed: output name to ``(N, ...)``, with every optimisation.
        plain: the same without any.
        heads: output name to ``softmax``, ``sigmoid`` or ``none``.
        noise: output name to the rms of Keras's rounding noise.
    """
    views = views_of(heads)
    try:
        differences = compare(deployed, plain, views)
    except (Incomparable, NoPower) as error:
        return [uncompared(about, LEVELS_ERROR, error)]
    return [
        about.measure(LEVELS_ERROR, each.rms / noise[each.output], layer=each.output, n=each.n)
        for each in differences
    ]


LEVELS = 256
"""Different values that a tensor of eight bits has at most."""


def cost(exact: np.ndarray, *levels: np.ndarray) -> float:
    """How far rounding may move two levels apart: rms, as a part of the spread; 0 without a truth.

    Each rounds in its own way, which a model may amplify. Two roundings of the size of what eight
    bits cost the better level are apart by sqrt(2) of that.

    Args:
        exact: ``(N, ...)``, what an output should be.
        levels: the same at each level.
    """
    try:
        found = [compare({"": exact}, {"": each}, dtype=each.dtype) for each in levels]
    except (Incomparable, NoPower):
        return 0.0
    return float(np.sqrt(2) * min(each.rms / each.spread for (each,) in found))


def integer_levels(
    about: About,
    deployed: Mapping[str, np.ndarray],
    plain: Mapping[str, np.ndarray],
    costs: Mapping[str, float],
) -> list[Measurement]:
    """The layers of an int8 file are the same at both levels, but for a step here and there.

    Where a layer's values spread over a few steps only, as those of a pooling of large windows do
    on its input's scale, half a step may be more than the limit; what follows inherits the
    difference, and may amplify it.

    Args:
        about: what is measured.
        deployed: layer name to ``(N, ...)`` integers, with every optimisation, in the spec's order.
        plain: the same without any.
        costs: output name to what `cost` gives.

    Returns:
        One measurement: the first layer beyond the limit, else the worst of all.
    """
    shares: dict[str, float] = {}
    allowed: dict[str, float] = {}
    coarse = grown = 0.0
    for layer, ours in deployed.items():
        theirs = plain[layer]
        if ours.dtype.kind == "f":
            ours, theirs = _counted(ours, theirs)
        pair = ({layer: ours}, {layer: theirs})
        try:
            (difference,) = compare(*pair)
        except NoPower:  # a layer that is the same for every image says nothing
            continue
        except Incomparable as error:
            return [uncompared(about, LEVELS_LAYERS, error)]
        step = _step(ours, theirs)
        if difference.spread < step:  # a value on the next step is then as much as all it says
            continue
        shares[layer] = difference.rms / difference.spread
        half = limits.LEVELS_STEP.value * step / difference.spread
        coarse = max(coarse, min(half, limits.LEVELS_MOST.value))
        least = (limits.LEVELS_LAYER.value, coarse, costs.get(layer, 0.0))
        allowed[layer] = max(*least, limits.LEVELS_GROWN.value * grown)
        if shares[layer] <= allowed[layer]:
            grown = max(grown, shares[layer])
    if not shares:
        nothing = NoPower("no layer of the file is quantized and varies")
        return [uncompared(about, LEVELS_LAYERS, nothing)]
    beyond = [layer for layer, share in shares.items() if share > allowed[layer]]
    shown = beyond[0] if beyond else max(shares, key=lambda layer: shares[layer] / allowed[layer])
    words = "the graph says one thing and its optimised form computes another"
    return [
        about.measure(
            LEVELS_LAYERS,
            shares[shown],
            f"{words}, first in {shown}" if beyond else "",
            limit=allowed[shown],
            layer=shown,
            n=len(next(iter(deployed.values()))),
            rows=tuple(
                {"layer": layer, "difference": share, "limit": allowed[layer]}
                for layer, share in shares.items()
            ),
        )
    ]


def _counted(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real numbers that an activation makes of integers as the steps that they are; others stay."""
    levels, places = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    if levels.size > LEVELS:
        return ours, theirs
    counted = places.reshape(2, *ours.shape).astype(np.int32)
    return counted[0], counted[1]


def _step(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The step of quantized values: 1 for integers, the least distance of two for real numbers."""
    if ours.dtype.kind in "iu":
        return 1.0
    gaps = np.diff(np.unique(np.concatenate([ours.reshape(-1), theirs.reshape(-1)])))
    return float(gaps.min()) if gaps.size else 0.0


def equal_answers(
    about: About, deployed: np.ndarray, plain: np.ndarray, exact: np.ndarray | None
) -> list[Measurement]:
    """An int8 file gives the same answers at both levels, but for a few.

    Args:
        about: what is measured.
        deployed: ``(N, C)`` scores with every optimisation.
        plain: the same without any.
        exact: what they should be; None where nothing gives that. As many answers may change
            between the levels as eight bits change at the better of them.
    """
    try:
        (difference,) = compare({"scores": deployed}, {"scores": plain})
    except (Incomparable, NoPower) as error:
        return [uncompared(about, LEVELS_ANSWERS, error)]
    value, limit = _same(deployed, plain), limits.LEVELS_ANSWERS.value
    if exact is not None:
        limit = min(limit, max(_same(each, exact) for each in (deployed, plain)))
    reason = f"the largest change of a score is {difference.largest:.3g}"
    return [about.measure(LEVELS_ANSWERS, value, reason, limit=limit, n=difference.n)]


def _same(one: np.ndarray, other: np.ndarray) -> float:
    """The share of equal answers, in percent."""
    return 100 * float(np.mean(answers(one) == answers(other)))
