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
    1.01,
    "rounding in another order of summation stays near 1 (PyTorch without oneDNN reaches 5.6); "
    "one typical weight off by 1 % gives 130",
)
CHANNEL = Limit(
    10.0,
    "x Keras's noise of the channel",
    1.2,
    "a fault in one class can hide in the pooled value",
)
IMAGE = Limit(
    10.0,
    "x Keras's pooled noise",
    2.6,
    "the same limit: inside the network single images reach 4.3 on good artifacts; against their "
    "own noise instead of the pooled one they would false-alarm",
)
KERAS_NOISE = Limit(
    1e-5,
    "of the outputs' spread",
    5.7e-7,
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
    1.15,
    "the same image in another batch may be summed in another order, no more",
)
INT8_DEFAULT = Limit(
    -0.5,
    "points",
    -0.28,
    "what a default scheme may lose; with calibration seeds 0 to 2 both lose 0.08 to 0.28",
)
INT8_OUTER = Limit(
    -5.0, "points", None, "what any int8 artifact may lose before it is called broken"
)
MARGIN = Limit(
    -0.75,
    "points",
    -0.56,
    "lower end of the 95 % interval on the paired change: the default schemes stay above -0.56",
)
