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
    30.0,
    "x Keras's pooled noise",
    12.1,
    "PyTorch without oneDNN convolves in NNPACK's transformed domain: 6 times Keras's noise on the "
    "whole, 12 times in one image of 1,000; with oneDNN and in ONNX Runtime 2.6",
)
REACH = Limit(
    10.0,
    "x Keras's pooled noise",
    2.6,
    "how far rounding may move a logit: an answer whose top two are closer than twice that is not "
    "certified, and excused where it flips",
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
    30.0,
    "x Keras's noise",
    11.3,
    "the same image in another batch may be summed in another order, no more: 1.15, and 11.3 where "
    "PyTorch without oneDNN takes another algorithm for a batch of one",
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
TAPS = Limit(
    10.0,
    "x Keras's noise",
    1.2,
    "a graph with taps is fused less and sums in another order, no more; beyond it the taps would "
    "speak of another network than the one that ships",
)
SQNR = Limit(
    20.0,
    "dB",
    30.2,
    "the layer that adds most noise of its own: eight bits that fit its range leave 30 to 46 dB",
)
AGREEMENT = Limit(
    97.0,
    "% of the answers",
    97.63,
    "the lowest of the default schemes over calibration seeds 0 to 2 (PyTorch on mlperf-tiny); "
    "all zero points off by one give 96.2",
)
AGREEMENT_OUTER = Limit(
    90.0,
    "% of the answers",
    96.28,
    "any int8 artifact: the coarsest correct scheme (QDQ, per tensor) measures 96.28, black "
    "calibration images 85",
)
LEVELS = Limit(
    10.0,
    "x Keras's noise",
    1.06,
    "without optimisation BatchNormalization is not folded and sums are made in another order, "
    "no more",
)
LEVELS_LAYER = Limit(
    0.1,
    "of the layer's spread",
    0.023,
    "rounded in floating point or in integers, a value may fall on the next step; per-channel "
    "scales along the wrong axis give 0.27 and more",
)
LEVELS_ANSWERS = Limit(
    99.0,
    "% of the answers",
    99.6,
    "of 1,000 images in the worst of twelve schemes; in the default QOperator format both levels "
    "are the same bits",
)
FOLDED = Limit(
    4.0,
    "roundings of float32",
    2.5,
    "a folded weight is a product of three factors, each rounded once; an offset is a sum, and its "
    "rounding is relative to its largest term",
)
STEP = Limit(
    0.501,
    "steps",
    0.50003,
    "a weight is rounded to the nearest step, so it is off by half of one at most; the rest is "
    "float32's rounding of step and weight",
)
CLASSES = Limit(
    0.01,
    "of the images, and one image",
    0.0,
    "a stratified draw gives every class its share, rounded to a whole image",
)
RANGE = Limit(
    1e-5,
    "of the range",
    4.6e-7,
    "lowest and highest value move by rounding only, or by 10 times Keras's noise where that is "
    "more; without half of the images one moves by 2 % and more",
)
RANGE_ROUNDED = Limit(
    0.0025,
    "of the range",
    0.0019,
    "scale and zero point are kept, not the ends: a zero point is a whole number, so a range moves "
    "by up to half a step, 1/510 (twice as much where activations have seven bits)",
)
RANGE_CUT = Limit(
    1e-3,
    "of the values",
    2.1e-4,
    "a histogram leaves out the rarest values; one for images of half the brightness leaves out "
    "44 % of the pixels",
)
RANGE_AGAIN = Limit(
    0.05,
    "of the range",
    0.0273,
    "PyTorch's histograms depend on rounding: without oneDNN one range of the embedded model moves "
    "by 2.7 %, else none; a quarter of the images alone moves one by 9 % and more",
)
