"""Which share of a model's weights was compared with a file, and how."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.core.spec import Spec
from conversion.proof.metrics import limits

Arrays = Iterable[np.ndarray]


def weights_seen(
    about: About,
    what: Quantity,
    spec: Spec,
    exactly: Arrays,
    by_rule: Arrays,
    by_behaviour: Arrays = (),
    unseen: int = 0,
) -> list[Measurement]:
    """The share of a model's weights that were compared with a file, and how.

    Args:
        about: what is measured.
        what: the quantity.
        spec: the model.
        exactly: arrays of the spec that the file must have bit by bit.
        by_rule: those of which it must have what folding, scales and rounding make of them; one
            that is among those before as well counts here.
        by_behaviour: those that are seen in what their layer gives; counted where nothing else is.
        unseen: elements of the last that this does not show.

    Returns:
        One measurement, undecided where too few are seen; none of a model without weights.
    """
    sizes = {id(a): a.size for layer in spec.layers for a in layer.weights.values()}
    total = sum(sizes.values())
    if not total:
        return []
    counted, shares = set[int](), dict[str, float]()
    for how, arrays in (("by rule", by_rule), ("exactly", exactly), ("by behaviour", by_behaviour)):
        found = {id(array) for array in arrays} - counted
        count = sum(sizes.get(each, 0) for each in found)
        shares[how] = max(count - (unseen if how == "by behaviour" else 0), 0) / total
        counted |= found
    shares = {how: shares[how] for how in ("exactly", "by rule", "by behaviour")}
    value = min(sum(shares.values()), 1.0)
    parts = ", ".join(f"{share:.2%} {how}" for how, share in shares.items() if share)
    few = "" if value >= limits.WEIGHTS_SEEN.value else "too few weights are seen"
    reason = "; ".join(filter(None, (few, parts)))
    rows = tuple({"how": how, "share": share} for how, share in shares.items())
    doubtful = Verdict.UNDECIDED if few else None
    return [about.measure(what, value, reason, verdict=doubtful, n=total, rows=rows)]
