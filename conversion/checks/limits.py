"""Every limit in one place: what it is, the largest value measured on a good artifact, and why.

The measured values are of mlperf-tiny and embedded, over the float32 backends; `docs/checks.md`
says how to measure them again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A limit with its reason.

    Attributes:
        value: the limit.
        unit: its unit.
        measured: the largest value seen on an artifact that is right; None where it is a rule.
        reason: why it is where it is.
    """

    value: float
    unit: str
    measured: float | None
    reason: str


POOLED = Limit(
    10.0,
    "x Keras's noise",
    1.13,
    "rounding of another order of summation stays near 1 (NNPACK, with no oneDNN, reaches 5.6); "
    "one typical weight off by 1 % gives 130",
)
CHANNEL = Limit(
    10.0,
    "x Keras's noise of the channel",
    1.6,
    "a fault in one class can hide in the pooled value",
)
IMAGE = Limit(
    10.0,
    "x Keras's pooled noise",
    4.3,
    "single images reach 4.3 on good artifacts; against their own noise they would false-alarm",
)
KERAS_NOISE = Limit(
    1e-5,
    "of the outputs' spread",
    6.2e-7,
    "beyond it Keras itself is so far from the truth that a multiple of its noise hides faults",
)
SUM = Limit(
    1e-5,
    "from 1",
    2.8e-7,
    "centred logarithms forget a factor common to a row: only its sum shows that the softmax "
    "divided by too much or not at all",
)
LEAST_ERROR = Limit(
    2.0**-24,
    "of the outputs' rms",
    None,
    "half a unit in the last place of float32: exact layers would give 0/0",
)
ROWS = Limit(
    10.0,
    "x Keras's noise",
    0.5,
    "the same image in another batch may be summed in another order, no more",
)
FLOAT_TOP1 = Limit(85.0, "%", None, "MLPerf Tiny's target for this network (top-1)")
INT8_DEFAULT = Limit(
    -0.5, "points", -0.43, "what the default schemes may lose; 12 calibration seeds stay above it"
)
INT8_OUTER = Limit(
    -5.0, "points", None, "what any int8 artifact may lose before it is called broken"
)
MARGIN = Limit(
    -0.75,
    "points",
    -0.62,
    "lower end of the 95 % interval on the paired change: correct int8 models stay above -0.62",
)
