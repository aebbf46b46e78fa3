"""What accuracy figures rest on: all images, the artifact's own answers, outputs that vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics.compare import Incomparable, NoPower, compare
from conversion.proof.metrics.limits import ROWS
from conversion.proof.metrics.quantities import IMAGES_EVALUATED, OUTPUTS_VARY, OWN_PREDICTIONS
from conversion.proof.metrics.views import View, views_of


def images_evaluated(about: About, rows: int, evaluated: int, images: int) -> Measurement:
    """As many rows of outputs as the subject has images.

    Args:
        about: what is measured.
        rows: rows of the artifact's outputs.
        evaluated: images that accuracy is counted on.
        images: images of the subject's test set.
    """
    value = rows if rows != images else evaluated
    complete = rows == evaluated == images
    reason = "" if complete else f"{value} of {images} images"
    verdict = Verdict.PASS if complete else Verdict.FAIL
    return about.measure(IMAGES_EVALUATED, value, reason, verdict=verdict, limit=images, n=rows)


def differing_rows(
    kept: Mapping[str, np.ndarray],
    again: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    noise: Mapping[str, float],
) -> int:
    """How many images get other outputs when the file is asked again.

    Args:
        kept: output name to ``(N, ...)``, the predictions that are counted.
        again: the same from the file opened again.
        heads: output name to ``softmax``, ``sigmoid`` or ``none``.
        noise: output name to the rms of Keras's rounding noise.

    Returns:
        Images that lie further apart than the same image in another batch may.

    Raises:
        Incomparable: other shapes or dtypes, or NaN or Inf.
        NoPower: no images, or outputs that are flat.
    """
    found = compare(kept, again, views_of(heads))
    far = [each.images > ROWS.value * noise[each.output] for each in found]
    return int(np.count_nonzero(np.any(far, axis=0)))


def own_predictions(about: About, causes: Sequence[str], differing: int, n: int) -> Measurement:
    """The predictions are the artifact's own.

    Args:
        about: what is measured.
        causes: why they are not, in words; empty where nothing says so.
        differing: images that get other outputs when the file is asked again.
        n: images that it was asked again for.
    """
    stale = f"{differing} of {n} images get other outputs when the file is asked again"
    reasons = [*causes, stale] if differing else list(causes)
    verdict = Verdict.FAIL if reasons else Verdict.PASS
    return about.measure(OWN_PREDICTIONS, differing, "; ".join(reasons), verdict=verdict, n=n)


def outputs_vary(
    about: About,
    outputs: Mapping[str, np.ndarray],
    keras: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
) -> Measurement:
    """The outputs are finite and not the same for every image; undecided where Keras's are.

    Args:
        about: what is measured.
        outputs: output name to ``(N, ...)``.
        keras: the same of Keras.
        heads: output name to what it means, as in `VIEWS`: scores of one saturated class vary.
    """
    views = views_of(heads)
    reason, verdict = _flat(outputs, views), Verdict.PASS
    if reason and _flat(keras, views):
        verdict, reason = Verdict.UNDECIDED, f"no power: Keras's own are such: {reason}"
    elif reason:
        verdict = Verdict.FAIL
    return about.measure(OUTPUTS_VARY, reason=reason, verdict=verdict)


def _flat(outputs: Mapping[str, np.ndarray], views: Mapping[str, View]) -> str:
    """Why outputs say nothing, as they are and as they are compared; empty where they do."""
    reason = ""
    for seen in ({}, views):
        try:
            compare(outputs, outputs, seen)
        except (NoPower, Incomparable) as error:
            reason = str(error)
        else:
            return ""
    return reason
