"""Every check and everything that it measures, each in one sentence.

`docs/checks.md` and `conversion explain` are made from these; `limits.py` says where limits come
from.
"""

from __future__ import annotations

from collections.abc import Iterable

from conversion.core.quantity import Limit, Quantity, Question
from conversion.proof.metrics import limits


def _none(unit: str) -> Limit:
    return Limit(0, unit, None, "one is too many", "==")


OPENS = Question("built", "structure", "the artifact is built, and its runtime opens it")
BUILT = OPENS.whole

ONNX_VALID = Question(
    "onnx-valid", "structure", "the full ONNX checker and strict shape inference accept the file"
).whole

ONNX_PORTS = Question(
    "onnx-ports",
    "structure",
    "names, dtypes and shapes of inputs and outputs are the source's, the batch is open",
)
PORTS = Quantity("ports", ONNX_PORTS, "inputs and outputs together, of an external file")
INPUTS = Quantity("inputs", ONNX_PORTS, "names, dtypes and shapes of the inputs are the source's")
OUTPUTS = Quantity(
    "outputs", ONNX_PORTS, "names, dtypes and shapes of the outputs are the source's"
)

ONNX_OPERATORS = Question(
    "onnx-operators",
    "structure",
    "the operators that were recorded when the file was built, and the opset that was asked for",
)
CENSUS = Quantity(
    "census_as_recorded",
    ONNX_OPERATORS,
    "operators, initializers and opset are those that were recorded when the file was built",
)
OPSET = Quantity("opset", ONNX_OPERATORS, "the opset is the one that was asked for", among="float")

INTEGER_WEIGHTS = Question(
    "integer-weights", "structure", "every kernel element is stored in eight bits"
)
EIGHT_BIT_WEIGHTS = Quantity(
    "eight_bit_weights",
    INTEGER_WEIGHTS,
    "how many elements of kernels are stored in eight bits; at least as many as the layers have "
    "that the scheme quantizes",
    unit="elements",
    relation=">=",
)
FLOAT_OPERATORS = Quantity(
    "float_operators",
    INTEGER_WEIGHTS,
    "no operator of a LiteRT file computes in float but those that its scheme leaves there",
    among="litert-int8",
)

WEIGHTS = Question(
    "weights",
    "structure",
    "every stored weight is the source's bit by bit, and a folded BatchNormalization within the "
    "rounding of float32",
)
WEIGHTS_EQUAL = Quantity(
    "weights_equal_spec",
    WEIGHTS,
    "how many stored weights are not the source's, bit by bit",
    _none("tensors that differ"),
)
WEIGHTS_FOLDED = Quantity(
    "weights_folded",
    WEIGHTS,
    "how far the weights into which others are folded are from what the source gives, in float64",
    limits.FOLDED,
)
WEIGHTS_BEHAVE = Quantity(
    "weights_by_behaviour",
    WEIGHTS,
    "how far layers whose weights are stored in a form that no rule knows are from what their "
    "inputs in the file should give",
    limits.POOLED,
)
WEIGHTS_SEEN = Quantity(
    "weights_seen",
    WEIGHTS,
    "the share of the source's weights that were compared with the file: exactly, by the rule of "
    "what is folded into them, or by what their layer does",
    limits.WEIGHTS_SEEN,
)

PROVENANCE = Question(
    "provenance", "structure", "the file itself states the digest of this very source file"
).whole

OPTIMISATION_LEVELS = Question(
    "optimisation-levels",
    "structure",
    "the outputs as deployed are those of the graph as it is written, unoptimised; for int8 layer "
    "by layer and in answers",
)
LEVELS_ERROR = Quantity(
    "levels_error",
    OPTIMISATION_LEVELS,
    "how far the outputs of a float file move when ONNX Runtime optimises it",
    limits.LEVELS,
    among="float",
)
LEVELS_LAYERS = Quantity(
    "levels_layers",
    OPTIMISATION_LEVELS,
    "how far the layers of an int8 file move when ONNX Runtime optimises it: the first beyond its "
    "limit, else the worst",
    limits.LEVELS_LAYER,
    among="int8",
)
LEVELS_ANSWERS = Quantity(
    "levels_answers",
    OPTIMISATION_LEVELS,
    "how many answers of an int8 file stay the same when ONNX Runtime optimises it",
    limits.LEVELS_ANSWERS,
    among="int8",
)

INTEGER_KERNELS = Question(
    "integer-kernels",
    "structure",
    "as it is run, what the file stores in int8 is multiplied in int8; beside it the first float "
    "operator, the casts and transposes that are left, and the slowest steps",
)
INTEGER_SHARE = Quantity(
    "integer_multiply_accumulates",
    INTEGER_KERNELS,
    "the share of all multiply-accumulates that integer kernels compute; what the scheme leaves in "
    "float is taken off its limit",
    limits.INTEGER,
)

ROWS = Question("rows", "structure", "batches of 1 and 7 and another row order give the same rows")
BATCH_1 = Quantity(
    "batch_1",
    ROWS,
    "how far the outputs of any image move when the images come one by one",
    limits.ROWS,
)
BATCH_7 = Quantity(
    "batch_7",
    ROWS,
    "how far the outputs of any image move when the images come in batches of seven",
    limits.ROWS,
)
ROW_ORDER = Quantity(
    "row_order",
    ROWS,
    "how far the outputs of any image move when the images come in another order",
    limits.ROWS,
)

OUTPUT_ERROR = Question(
    "output-error",
    "parity",
    "the outputs lie as close to the float64 truth as Keras's do; probabilities sum to 1; with "
    "`--atol` or `--rtol` no output is further from Keras's than `atol + rtol |Keras|`",
)
OUTPUT_ERROR_POOLED = Quantity(
    "output_error_pooled",
    OUTPUT_ERROR,
    "the outputs' rms distance from the float64 truth over all images and channels, as a multiple "
    "of Keras's own",
    limits.POOLED,
    among="converted",
)
OUTPUT_ERROR_CHANNEL = Quantity(
    "output_error_channel",
    OUTPUT_ERROR,
    "the rms distance from the float64 truth of the worst channel of an output, as a multiple of "
    "Keras's in that channel",
    limits.CHANNEL,
    among="converted",
)
OUTPUT_ERROR_IMAGE = Quantity(
    "output_error_image",
    OUTPUT_ERROR,
    "the rms distance from the float64 truth of the worst image, as a multiple of Keras's over all "
    "images, or of as much more as its values are larger",
    limits.IMAGE,
    among="converted",
)
OTHER_SIZE = Quantity(
    "other_size",
    OUTPUT_ERROR,
    "where a model leaves sizes of its input open, the outputs' rms distance from the float64 "
    "truth on images of another size, as a multiple of Keras's own",
    limits.POOLED,
    among="converted",
)
OUTPUT_SUM = Quantity(
    "output_sum_error",
    OUTPUT_ERROR,
    "how far the probabilities of an image are from a sum of 1, at worst",
    limits.SUM,
    among="converted",
)
OUTPUT_TOLERANCE = Quantity(
    "output_tolerance",
    OUTPUT_ERROR,
    "the largest difference from Keras's outputs, in multiples of what `--atol` and `--rtol` allow",
    Limit(1.0, "x the tolerance atol + rtol |Keras|", None, "the user gives the tolerance"),
    among="converted",
)
REFERENCE_NOISE = Quantity(
    "reference_noise",
    OUTPUT_ERROR,
    "Keras's own rms distance from the float64 truth, reported",
    unit="of the outputs' spread",
    among="keras-fp32",
)
FAULTS_VISIBLE = Quantity(
    "faults_visible",
    OUTPUT_ERROR,
    "the share of a sample of standard faults, at least three in each layer with weights, that the "
    "comparisons made of this artifact would see; below its limit, or where no fault of a layer "
    "would be seen, parity is undecided",
    limits.VISIBLE,
    among="float, converted",
)

LAYERS = Question(
    "layers",
    "parity",
    "every layer that the taps can see lies as close to the truth as Keras's does; the tapped "
    "graph gives what the deployed one gives",
)
LAYER_ERROR_POOLED = Quantity(
    "layer_error_pooled",
    LAYERS,
    "the rms distance from the float64 truth of the layer that is worst, as a multiple of Keras's "
    "there; a failure names the first layer at fault",
    limits.POOLED,
)
LAYER_ERROR_CHANNEL = Quantity(
    "layer_error_channel",
    LAYERS,
    "the rms distance from the float64 truth of the worst channel of any layer, as a multiple of "
    "Keras's there",
    limits.CHANNEL,
)
LAYER_ERROR_IMAGE = Quantity(
    "layer_error_image",
    LAYERS,
    "the rms distance from the float64 truth of the worst image at any layer, as a multiple of "
    "Keras's over all images, or of as much more as its values are larger",
    limits.IMAGE,
)
TAPS_AGAINST_DEPLOYED = Quantity(
    "taps_against_deployed",
    LAYERS,
    "how far the outputs of the graph with taps are from those of the graph that ships",
    limits.TAPS,
)

MARGINS = Question(
    "margins",
    "parity",
    "every answer that rounding cannot move is certified: the largest logit difference lies below "
    "half the gap between the top two",
)
MARGIN_CERTIFIED = Quantity(
    "margin_certified",
    MARGINS,
    "the share of answers that the artifact's differences from Keras are too small to flip; at "
    "least the share that lies beyond the reach of rounding",
    unit="% of the answers",
    relation=">=",
)
MARGIN_LOST = Quantity(
    "margin_lost",
    MARGINS,
    "how many answers beyond the reach of rounding are not certified",
    _none("answers not certified that rounding cannot reach"),
)

PREPROCESSING = Question(
    "preprocessing",
    "parity",
    "the preprocessing that ships (`--shipped-preprocessing`) gives the pixels of training's; a "
    "Rescaling or Normalization in the model does not scale again what is scaled already",
)
SCALED_ONCE = Quantity(
    "scaled_once",
    PREPROCESSING,
    "images that a layer of the model scales from 0 to 255 are not scaled or centred before, as "
    "advice",
)
SHIPPED_PIXELS = Quantity(
    "shipped_pixels",
    PREPROCESSING,
    "the largest difference of a pixel between the preprocessing that ships and that of training; "
    "a failure names what explains it",
    limits.SHIPPED,
)
SHIPPED_DRIFT = Quantity(
    "shipped_drift",
    PREPROCESSING,
    "how far pixels of a channel that are dark, or bright, or between, are off on average",
    limits.SHIPPED_DRIFT,
)
SHIPPED_ANSWERS = Quantity(
    "shipped_answers",
    PREPROCESSING,
    "how many of Keras's answers are others on the images that ship; no failure where the pixels "
    "are right",
    unit="answers that change",
)

TOP1 = Question(
    "top1",
    "accuracy",
    "the count of right answers, which must reach the floor of a reference subject, and of any "
    "other model is advice; a float artifact gives Keras's answer to every image that rounding "
    "cannot decide",
)
TOP1_CORRECT = Quantity(
    "top1_correct",
    TOP1,
    "how many answers are right; at least the floor that a subject states, else one more than "
    "the commonest class alone would give, as advice",
    unit="right answers",
    relation=">=",
)
TOP1_FLIPS = Quantity(
    "top1_flips",
    TOP1,
    "how many answers of a float artifact are not Keras's, of images that rounding cannot decide",
    _none("answers that differ from Keras's"),
    among="float, converted",
)
FLOAT_CHANGE = Quantity(
    "top1_change",
    TOP1,
    "how much accuracy a float artifact gains or loses against Keras; no more than the images "
    "that rounding can decide",
    unit="points",
    relation=">=",
    among="float, converted",
)

EVIDENCE = Question(
    "evidence",
    "accuracy",
    "every image was evaluated, by this very file, in this run's outputs; they are no copy of "
    "another artifact's, and they vary",
)
IMAGES_EVALUATED = Quantity(
    "images_evaluated",
    EVIDENCE,
    "how many images were evaluated; all that the subject has",
    unit="images",
    relation="==",
)
OUTPUTS_VARY = Quantity(
    "outputs_vary", EVIDENCE, "the outputs are finite, and not the same for every image"
)
OWN_PREDICTIONS = Quantity(
    "own_predictions",
    EVIDENCE,
    "how many images get other outputs when the file is opened and asked again; nor are the "
    "outputs or the file another artifact's",
    _none("images that differ when asked again"),
    among="converted",
)

QUANTIZED_TOP1 = Question(
    "quantized-top1",
    "quantization",
    "the change against the float artifact, as measured and as an interval; beside it the exact p "
    "of McNemar's test, which is no gate",
)
INT8_CHANGE = Quantity(
    "top1_change",
    QUANTIZED_TOP1,
    "how much accuracy int8 gains or loses against the float artifact, as measured; limited for "
    "the default schemes on the reference subjects, else reported",
    unit="points",
    relation=">=",
)
NON_INFERIORITY = Quantity(
    "top1_non_inferiority",
    QUANTIZED_TOP1,
    "the lower end of the 95 % interval of what int8 gains or loses; `--max-drop` limits it",
    unit="points",
    relation=">=",
)

CLASSES = Question(
    "classes",
    "quantization",
    "no class is shown to have lost more than its margin, however little the whole shows; of a "
    "user's model the margin is `--max-class-drop`, and there is none without it",
)
CLASS_CHANGE = Quantity(
    "class_change",
    CLASSES,
    "how much accuracy the class loses that loses most",
    unit="points",
    relation=">=",
)

AGREEMENTS = Question(
    "agreement",
    "quantization",
    "the answers are those of the float artifact; beside it the share that is certified",
)
AGREEMENT = Quantity(
    "agreement", AGREEMENTS, "how many answers are those of the float artifact", limits.AGREEMENT
)

CALIBRATION = Question(
    "calibration",
    "quantization",
    "the calibration images are those that the seed draws from the training set, stratified, "
    "varied, and none of them is evaluated on",
)
CALIBRATION_DRAW = Quantity(
    "calibration_draw",
    CALIBRATION,
    "how many calibration images are not those that the seed draws from the training set",
    _none("images that are not drawn ones"),
)
CALIBRATION_IMAGES = Quantity(
    "calibration_images",
    CALIBRATION,
    "how many calibration images have one value all over; no more than the same draw gives",
    unit="images of one value",
)
CALIBRATION_CLASSES = Quantity(
    "calibration_classes",
    CALIBRATION,
    "how far any class's share of the calibration images is from its share of the training images",
    limits.CLASSES,
)
CALIBRATION_LEAK = Quantity(
    "calibration_leak",
    CALIBRATION,
    "how many calibration images are also test images, by content",
    _none("images that are also test images"),
)

STABILITY = Question(
    "calibration-stability",
    "quantization",
    "made again from as many training images that the first set has none of, the artifact gets the "
    "same verdicts, as many right answers and the same answers",
)
STABILITY_VERDICT = Quantity(
    "stability_verdict",
    STABILITY,
    "how many gates of accuracy say something else of an artifact calibrated on other images",
    _none("gates that say something else"),
)
STABILITY_CHANGE = Quantity(
    "stability_change",
    STABILITY,
    "how much accuracy changes when other images calibrate; reported only of a user's model",
    limits.STABLE,
)
STABILITY_AGREEMENT = Quantity(
    "stability_agreement",
    STABILITY,
    "how many answers stay the same when other images calibrate; reported only of a user's model",
    limits.STABLE_AGREEMENT,
)

RANGE_CHECK = Question(
    "ranges",
    "quantization",
    "every recorded range is that of the Keras layer over the images that the seed draws",
)
RANGES = Quantity(
    "ranges",
    RANGE_CHECK,
    "how far either end of a recorded range is from lowest and highest value of Keras's layer "
    "over the calibration images: the first tensor beyond the limit, else the worst",
    limits.RANGE,
)
RANGES_CUT = Quantity(
    "ranges_cut",
    RANGE_CHECK,
    "the share of Keras's values that a range leaves out which a histogram chose",
    limits.RANGE_CUT,
)
RANGES_EXCESS = Quantity(
    "ranges_excess",
    RANGE_CHECK,
    "how far a range that a histogram chose reaches past Keras's lowest and highest value",
    limits.RANGE,
)
RANGES_FIT = Quantity(
    "ranges_fit",
    RANGE_CHECK,
    "what is left of the truth's values once they are rounded in the steps that an external file "
    "has for them: the first layer or input below the limit, else the least",
    limits.SQNR,
)
RANGES_AGAIN = Quantity(
    "ranges_again",
    RANGE_CHECK,
    "how far a range moves when the same images are observed again: of PyTorch's histograms, and "
    "of observers inside a layer",
    limits.RANGE,
    among="torch-int8",
)

QUANTIZED_PARAMETERS = Question(
    "quantized-parameters",
    "quantization",
    "every scale, zero point, weight and bias is the one that the source's weights and the "
    "recorded ranges give, recomputed without the quantizer; nothing in the file is left over",
)
QUANTIZED = {
    part: Quantity(
        f"quantized_{part}",
        QUANTIZED_PARAMETERS,
        f"how many {words} of an int8 file are not what weights and ranges give, recomputed",
        _none(f"{words} that differ"),
    )
    for part, words in {
        "scales": "scales",
        "zero_points": "zero points",
        "weights": "weights",
        "biases": "biases",
    }.items()
}
QUANTIZED_UNCHECKED = Quantity(
    "quantized_unchecked",
    QUANTIZED_PARAMETERS,
    "how many parameters of an int8 file nothing was compared with",
    _none("parameters that nothing accounts for"),
)
QUANTIZED_SEEN = Quantity(
    "quantized_weights_seen",
    QUANTIZED_PARAMETERS,
    "the share of the source's weights that were compared with an int8 file: exactly where it "
    "keeps them, by the rule of what folding and scales make of them, or by what their layer does",
    limits.WEIGHTS_SEEN,
)
SOURCE_EQUAL = Quantity(
    "quantized_source_equal_spec",
    QUANTIZED_PARAMETERS,
    "how many weights of the float graph that was quantized are not the source's, bit by bit",
    _none("tensors that differ"),
    among="onnx-int8",
)
SOURCE_FOLDED = Quantity(
    "quantized_source_folded",
    QUANTIZED_PARAMETERS,
    "how far folded weights of the float graph that was quantized are from what the source gives",
    limits.FOLDED,
    among="onnx-int8",
)

QUANTIZED_LAYERS = Question(
    "quantized-layers",
    "quantization",
    "every layer's own signal to quantization noise ratio; the layers ranked by damage",
)
LAYER_SQNR = Quantity(
    "layer_sqnr",
    QUANTIZED_LAYERS,
    "the signal to quantization noise ratio of the layer that adds most noise of its own, for the "
    "inputs that it has in the file",
    limits.IDEAL,
)

SATURATION = Question(
    "saturation",
    "quantization",
    "the file gives on CPUs without VNNI, which add pairs of uint8 x int8 products in 16 bits, "
    "what it gives with it",
)
SATURATION_LOGITS = Quantity(
    "saturation_logits",
    SATURATION,
    "how far the results of the last integer layer move on CPUs without VNNI",
    limits.SATURATION_LOGITS,
)
SATURATION_ANSWERS = Quantity(
    "saturation_answers",
    SATURATION,
    "how many answers change on CPUs without VNNI",
    limits.SATURATION_ANSWERS,
)

SPEED = Question(
    "speed",
    "latency",
    "the timed call gives the runner's outputs; the speed of an int8 artifact beside its float "
    "baseline in paired rounds of five fresh processes, which must reach `--min-speed-up` where "
    "that is given (docs/timing.md)",
)
BATCHES = (1, 32)
"""Batch sizes that latency is measured at."""
LATENCY = {
    batch: Quantity(
        f"latency_batch_{batch}",
        SPEED,
        f"the median time of a call with batch size {batch} on one thread; it must give the "
        "runner's outputs",
        unit="s",
    )
    for batch in BATCHES
}
LATENCY_RATIO = {
    batch: Quantity(
        f"latency_ratio_batch_{batch}",
        SPEED,
        f"how many times as fast as its float baseline an int8 artifact is with batch size {batch}"
        ", with its 99 % interval; `--min-speed-up` limits it",
        unit="x the speed of the baseline",
        relation=">=",
        among="int8",
    )
    for batch in BATCHES
}
LATENCY_FILES = Quantity(
    "latency_files", SPEED, "the artifact is no copy of its baseline's file", among="int8"
)
MEMORY = Quantity(
    "memory",
    SPEED,
    "how much a process grows when it opens the artifact and runs it, reported",
    unit="MB",
)


def quantities() -> tuple[Quantity, ...]:
    """Everything that is measured, in the order of the checks."""
    return tuple(_listed(globals().values()))


def _listed(values: Iterable[object]) -> Iterable[Quantity]:
    for each in values:
        if isinstance(each, Quantity):
            yield each
        elif isinstance(each, dict):
            yield from (one for one in each.values() if isinstance(one, Quantity))
