"""Are images scaled once: by what prepares them, or by the model's own first layers?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.metrics.preprocessing import PIXELS
from conversion.proof.metrics.quantities import SCALED_ONCE

FROM_PIXELS = 1 / 16
"""A factor below which a layer expects pixels from 0 to 255."""

SCALED = 8.0
"""The largest pixel of images that are scaled already."""

PASSED = ("ZeroPadding2D", "Cropping2D", "Resizing", "Dropout", "Identity")
"""Layers that leave the scale of images."""


def scaled_once(case: Case) -> list[Measurement]:
    """Images that a layer scales are not scaled before it."""
    spec, test = case.workspace.spec, case.workspace.subject.test
    if test is None or len(spec.inputs) != 1 or test.images.ndim != 4:
        return case.skip(SCALED_ONCE, "there are no images to see it on")
    layers = [*_first_layers(spec)]
    if not layers:
        return [case.about.measure(SCALED_ONCE, verdict=Verdict.PASS)]
    names = " and ".join(f"'{each.name}' ({each.kind})" for each in layers)
    value = np.zeros((2, 1, 1, test.images.shape[-1]))
    value[1] = PIXELS
    for layer in layers:
        value = truth.LAYERS[layer.kind](layer, value)
    black, white = value.reshape(2, -1)
    factor = float(np.abs(white - black).max()) / PIXELS
    low, high = float(test.images.min()), float(test.images.max())
    reason = ""
    if factor <= FROM_PIXELS and max(-low, high) <= SCALED:
        reason = "scaled twice"
    elif factor <= FROM_PIXELS and low < -SCALED and (black < 0).all():
        reason = "centred twice"
    if not reason:
        return [case.about.measure(SCALED_ONCE, verdict=Verdict.PASS)]
    done = f" ({test.preprocessing})" if test.preprocessing else ""
    said = (
        f"{reason}: {names} expects pixels from 0 to 255, and the images come from {low:.4g} to "
        f"{high:.4g}{done}: leave --scale, --mean, --std and --preprocess out, or that layer"
    )
    undecided, advice = Verdict.UNDECIDED, Concern.ADVICE
    return [case.about.measure(SCALED_ONCE, reason=said, verdict=undecided, concerns=advice)]


def _first_layers(spec: Spec) -> Iterator[Layer]:
    """Rescaling and Normalization layers that images meet first."""
    place = spec.inputs[0]
    for layer in spec.layers:
        if layer.inputs != (place,):
            continue
        if layer.kind in ("Rescaling", "Normalization"):
            yield layer
        elif layer.kind not in PASSED:
            return
        place = layer.name
