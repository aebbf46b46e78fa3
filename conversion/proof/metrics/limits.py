"""Every limit in one place: what it is, the largest value measured on a good artifact, and why.

The measured values are of mlperf-tiny and embedded, over the float32 backends; `docs/checks.md`
says how to measure them again.
"""

from __future__ import annotations

from conversion.core.quantity import Limit

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
SAME_LAYER = Limit(
    1e-4,
    "of the layer's rms",
    None,
    "one layer from its own inputs: float32 rounds by 1e-7 to 1e-6 of its rms, however deep it "
    "stands; beyond it Keras and the truth are two functions, and neither judges a file",
)
VISIBLE = Limit(
    90.0,
    "% of the standard faults",
    None,
    "below it a pass means too little; of what is drawn at random a few weights are always too "
    "small to matter (8 % by layer, 1 % by channel)",
    ">=",
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
    "PyTorch without oneDNN takes another algorithm for a batch of one; in int8 a value on the "
    "edge of a step falls to either side, and MobileNetV2 made 0.14 of the file's own error of "
    "three such values in a million: there 30 is the file's own error",
)
INT8_DEFAULT = Limit(
    -0.5,
    "points",
    -0.36,
    "what a default scheme may lose: with calibration seeds 0 to 2 ONNX Runtime's loses at most "
    "0.02, LiteRT's 0.36",
    ">=",
)
INT8_TORCH = Limit(
    -0.4,
    "points",
    -0.04,
    "what PyTorch's default scheme may lose: with calibration seeds 0 to 2 at most 0.04; "
    "with all eight bits of the weights it loses 0.19 to 0.28, and 14.8 on CPUs without VNNI",
    ">=",
)
MARGIN = Limit(
    -0.75,
    "points",
    -0.64,
    "lower end of the 95 % interval on the paired change: over calibration seeds 0 to 2 the "
    "default schemes stay above -0.64 (LiteRT; ONNX Runtime -0.34, PyTorch -0.56)",
    ">=",
)
CLASS_MARGIN = Limit(
    -3.0,
    "points of a class",
    -2.7,
    "the class that loses most, over calibration seeds 0 to 2 and all default schemes (ONNX "
    "Runtime's, with seven bits); of 1,000 images a loss of 6 points is beyond chance",
    ">=",
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
    25.0,
    "the layer that adds most noise of its own: eight bits that fit its range leave 30 to 46 dB, "
    "LiteRT's, some of which are too coarse, 25; of other models never more than `IDEAL`",
    ">=",
)
IDEAL = Limit(
    -3.0,
    "dB",
    -1.8,
    "of a layer from what ideal rounding in the file's own steps leaves: ONNX Runtime and LiteRT "
    "come to 0.7 dB of it, PyTorch to 1.8; never asked is more than `SQNR`, since a tensor may be "
    "taken for a layer's that lacks a small bias",
    ">=",
)
IDEAL_ANSWERS = Limit(
    1.5,
    "x the answers that ideal rounding changes",
    None,
    "of any model, beyond chance: right files have at most 1.4 times the noise of ideal rounding, "
    "and the answers that change grow as it does",
)
BEHAVES = Limit(
    30.0,
    "dB",
    33.0,
    "a layer whose parameters cannot be compared gives what it should, but for the rounding of "
    "eight bits; a kernel with 3 % of noise leaves 30 dB at best",
    ">=",
)
AGREEMENT = Limit(
    97.0,
    "% of the answers",
    97.17,
    "the lowest of the default schemes over calibration seeds 0 to 2 (LiteRT on mlperf-tiny); "
    "all zero points off by one give 96.2",
    ">=",
)
AGREEMENT_OUTER = Limit(
    90.0,
    "% of the answers",
    96.28,
    "any int8 artifact: the coarsest correct scheme (QDQ, per tensor) measures 96.28, black "
    "calibration images 85",
    ">=",
)
STABLE = Limit(
    0.5,
    "points",
    0.2,
    "how far another calibration set moves the count of right answers: of disjoint sets of seeds 0 "
    "to 2 no two differ by more; one image in place of 1,000 costs 3 points and more",
)
STABLE_AGREEMENT = Limit(
    95.0,
    "% of the answers",
    96.36,
    "two disjoint calibration sets of seeds 0 to 2: 97.8 and more with ONNX Runtime and PyTorch, "
    "96.4 with LiteRT; each agrees with float in 97, so they may differ in up to 6",
    ">=",
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
LEVELS_GROWN = Limit(
    2.0,
    "x what layers ahead of it moved",
    1.5,
    "what rounding moved is amplified from layer to layer, little by little in a deep network; "
    "another meaning shows where a layer moves much more than what it reads",
)
LEVELS_STEP = Limit(
    0.5,
    "steps",
    0.21,
    "rms of a layer whose values spread over less than five steps: in QDQ format an average "
    "pooling keeps its input's scale, and 1.6 to 4.3 % of its means, ties mostly, are rounded the "
    "other way",
)
LEVELS_MOST = Limit(
    0.25,
    "of the layer's spread",
    None,
    "whatever a layer's steps: per-channel scales along the wrong axis give 0.27 and more",
)
LEVELS_ANSWERS = Limit(
    99.0,
    "% of the answers",
    99.6,
    "of 1,000 images in the worst of twelve schemes; in the default QOperator format both levels "
    "are the same bits",
    ">=",
)
WEIGHTS_SEEN = Limit(
    0.9,
    "of the weights",
    0.99,
    "a file of which a tenth was not seen is not known; own float files show 99 % exactly or by "
    "rule",
    ">=",
)
FOLDED = Limit(
    6.0,
    "roundings of float32 for each folded layer",
    4.1,
    "a kernel with a normalization folded in is rounded in six places (variance + epsilon, root, "
    "reciprocal, times gamma, times the kernel), the first of which counts half, and a reciprocal "
    "root may count twice; an offset is a sum, and its rounding is relative to its largest term",
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
FASTER = Limit(
    1.02,
    "x the baseline's speed",
    None,
    "two processes that run the very same file differ by up to 2 %: an interval that does not lie "
    "beyond it says nothing",
    ">=",
)
INTEGER = Limit(
    100.0,
    "% of the multiply-accumulates",
    100.0,
    "what the scheme quantizes is multiplied in integers, every bit of it; less what it leaves in "
    "float by choice",
    ">=",
)
INTEGER_EXTERNAL = Limit(
    50.0,
    "% of the multiply-accumulates",
    56.6,
    "an external file may leave layers in float without saying so; int8 activations in QDQ "
    "format, of which ONNX Runtime on x86 fuses a part only, keep 56.6",
    ">=",
)
SATURATION_ANSWERS = Limit(
    1.0,
    "% of the answers",
    0.0,
    "on CPUs without VNNI: with the first convolution in float none of 10,000 changes; raw pixels "
    "times eight bits there change 6.8 to 9.5 and lose 2.7 to 6.7 points of top-1",
)
SATURATION_LOGITS = Limit(
    0.05,
    "of their spread",
    0.00076,
    "of the last integer layer's results on CPUs without VNNI: raw pixels times eight bits in the "
    "first convolution move them by 0.18 and more",
)
SHIPPED = Limit(
    1.5,
    "grey levels of 255",
    1.0,
    "an image that is resized in whole numbers is rounded after each of two passes, by half a "
    "level each; another kernel, order of channels or scale moves some pixel by tens",
)
SHIPPED_DRIFT = Limit(
    0.4,
    "grey levels of 255",
    0.25,
    "rounding halves upwards in two passes moves the mean by a quarter at most, of an image of "
    "twice the size; pixels cut off instead of rounded by a half, 1/256 for 1/255 by 0.9 where "
    "they are bright",
)
