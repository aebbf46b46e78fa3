"""Is the file what it says: names, shapes, dtypes, operators, weights, provenance, batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.core.spec import Spec
from conversion.proof.metrics.compare import Incomparable, NoPower, compare, uncompared
from conversion.proof.metrics.quantities import EIGHT_BIT_WEIGHTS
from conversion.proof.metrics.views import views_of


def expected(what: Quantity, about: About, wanted: Any, found: Any) -> Measurement:
    """Something that must be just what is expected, such as names, shapes or counts.

    Args:
        what: what is looked at.
        about: what is measured.
        wanted: the expectation.
        found: what the file has.
    """
    same = wanted == found
    said = "" if same else f"expected {wanted}, found {found}"
    return about.measure(what, reason=said, verdict=Verdict.PASS if same else Verdict.FAIL)


def eight_bit_weights(about: About, stored: int, wanted: int) -> Measurement:
    """As many elements of kernels are stored in eight bits as the scheme quantizes.

    Args:
        about: what is measured.
        stored: the count in the file.
        wanted: the least that it may be.
    """
    reason = f"{stored} of {wanted} elements are stored in eight bits" * (stored < wanted)
    return about.measure(EIGHT_BIT_WEIGHTS, stored, reason, limit=wanted)


def ports(
    about: About,
    what: Quantity,
    names: tuple[str, ...],
    spec: Spec,
    found: Sequence[Mapping[str, Any]],
) -> Measurement:
    """Names, dtypes and shapes of a file's inputs or outputs.

    Args:
        about: what is measured.
        what: `INPUTS` or `OUTPUTS`.
        names: their names in the spec, in order.
        spec: the model.
        found: their names, dtypes and shapes in the file; an open size is its name.
    """
    wanted = [
        {"name": name, "dtype": "float", "shape": ["batch", *spec.layer(name).shape]}
        for name in names
    ]
    shown = [dict(port) for port in found]
    for ours, theirs in zip(wanted, shown, strict=False):
        # What Keras leaves open has whatever name the converter gives it.
        if len(ours["shape"]) != len(theirs["shape"]):
            continue
        sizes = zip(ours["shape"], theirs["shape"], strict=True)
        theirs["shape"] = [
            None if mine is None and isinstance(size, str) else size for mine, size in sizes
        ]
    return expected(what, about, wanted, shown)


def rows_follow(
    what: Quantity,
    about: About,
    straight: Mapping[str, np.ndarray],
    other: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    noise: Mapping[str, float],
) -> list[Measurement]:
    """The same images in other batches or another order give the same outputs.

    Args:
        what: by what was changed: `BATCH_1`, `BATCH_7` or `ROW_ORDER`.
        about: what is measured.
        straight: output name to ``(N, ...)``, the images in one batch in their order.
        other: the same rows, computed the other way and put back in order.
        heads: output name to ``softmax``, ``sigmoid`` or ``none``.
        noise: output name to the rms of Keras's rounding noise, or of an integer artifact what
            its steps cost it.
    """
    views = views_of(heads)
    try:
        differences = compare(straight, other, views)
    except NoPower as error:
        return [uncompared(about, what, NoPower(f"{error} in the file, where Keras's does"))]
    except Incomparable as error:
        return [uncompared(about, what, error)]
    return [
        about.measure(
            what, float(each.images.max()) / noise[each.output], layer=each.output, n=each.n
        )
        for each in differences
    ]
