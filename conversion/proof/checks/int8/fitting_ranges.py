"""External int8 files: do the ranges that they hold fit the values that the model has here?"""

from __future__ import annotations

import numpy as np

from conversion.core.measurement import Measurement
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.seen import Seen, seen_in
from conversion.proof.metrics import ranges
from conversion.proof.metrics.int8 import Steps
from conversion.proof.metrics.quantities import RANGES_FIT
from conversion.proof.metrics.ranges import Fitting

UNIT = 1.01
"""Ends of a range that an activation has by its nature, such as softmax, and a step beyond."""


def fitting_ranges(case: Case) -> list[Measurement]:
    """Every layer's values, rounded in the file's own steps, are still what they were.

    What an external file was calibrated on is not known, so its ranges are held against the values
    of the float64 truth on the images here.
    """
    seen = seen_in(case)
    found = [each for name in seen.taps.seen for each in _of_layer(seen, name)]
    if not found:
        return case.skip(RANGES_FIT, "the file stores no scales: ranges are computed at run time")
    return [ranges.fitting_ranges(case.about, found, len(next(iter(seen.inputs.values()))))]


def _of_layer(seen: Seen, name: str) -> list[Fitting]:
    steps, exact = _steps(seen, name), seen.exact[name]
    if steps is None:
        return []
    fitting = Fitting(name, name in seen.spec.inputs, steps, exact)
    low, high = fitting.range
    fixed = not fitting.is_input and low >= -UNIT and high <= UNIT
    return [] if fixed or not np.isfinite(exact).all() else [fitting]


def _steps(seen: Seen, name: str) -> Steps | None:
    """Scale and zero point of the integers that hold a layer, or that an input becomes."""
    held, match = seen.integers(name), seen.taps.matches[name]
    if held is None and name in seen.spec.inputs:
        readers = seen.network.readers[seen.network.root(match.tensor)]
        return next((each.steps for each in readers if each.steps is not None), None)
    return None if held is None else held.steps
