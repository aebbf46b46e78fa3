"""Accuracy: how many answers are right, and what quantization costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conversion.backends import REFERENCE
from conversion.core.measurement import Concern, Measurement
from conversion.core.quantity import Limit, Quantity
from conversion.proof.checks.case import Case
from conversion.proof.checks.margins import not_answers
from conversion.proof.metrics import (
    accuracy,
    classes,
    limits,
    margins,
)
from conversion.proof.metrics.compare import Incomparable, NoPower, compare, uncompared
from conversion.proof.metrics.quantities import (
    CLASS_CHANGE,
    INT8_CHANGE,
    TOP1_CORRECT,
    TOP1_FLIPS,
)
from conversion.proof.metrics.views import VIEWS

NO_LABELS = "the data has no labels: agreement is judged in its place"


def without_labels(case: Case) -> str:
    """Why accuracy cannot be measured; empty where it can."""
    data = case.workspace.subject.test
    if data is None:
        return "no data: pass --data FILE"
    if reason := not_answers(case):
        return reason
    return NO_LABELS if data.labels is None else ""


def uncounted(case: Case, what: Quantity, error: ValueError) -> list[Measurement]:
    """Scores that cannot be counted: the artifact's failure, unless Keras's own are no numbers.

    Args:
        case: whose scores they are.
        what: what was to be measured.
        error: why they cannot be counted.
    """
    workspace = case.workspace
    (output,) = workspace.spec.outputs
    keras = workspace.outputs(REFERENCE, workspace.test).arrays[output]
    if np.isfinite(keras).all():
        return [uncompared(case.about, what, Incomparable(str(error)))]
    power = NoPower(f"Keras's own scores are no numbers: {error}")
    return [uncompared(case.about, what, power)]


def top1(case: Case) -> list[Measurement]:
    """The count of right answers, and for float artifacts that every answer is Keras's."""
    if reason := without_labels(case):
        skipped = case.skip(TOP1_CORRECT, reason)
        judged = reason == NO_LABELS and case.backend.is_float and case.name != REFERENCE
        return [*skipped, *_keras_answers(case)] if judged else skipped
    try:
        found, cached = case.tally(case.name)
    except ValueError as error:
        return uncounted(case, TOP1_CORRECT, error)
    subject = case.workspace.subject
    floor = subject.floor if case.backend.is_float else None
    named = case.workspace.test.classes
    measured = [accuracy.top1_correct(case.about, found, floor, named, cached)]
    if case.backend.is_float and case.name != REFERENCE:
        keras, _ = case.tally(REFERENCE)
        unsure = _unsure(case)
        measured.append(accuracy.same_answers(case.about, keras, found, unsure, cached))
        limit = -100 * int(unsure.sum()) / found.n
        measured.append(accuracy.top1_change(case.about, keras, found, limit, "accuracy", cached))
    return measured


def _keras_answers(case: Case) -> list[Measurement]:
    """Without labels, Keras's own answers stand in for them."""
    (output,) = case.workspace.spec.outputs
    keras, found = (
        case.workspace.outputs(name, case.workspace.test) for name in (REFERENCE, case.name)
    )
    try:
        answers = margins.answers(keras.arrays[output])
        ours, theirs = (accuracy.tally(each.arrays[output], answers) for each in (keras, found))
    except ValueError as error:
        return uncounted(case, TOP1_FLIPS, error)
    return [accuracy.same_answers(case.about, ours, theirs, _unsure(case), found.cached)]


def _unsure(case: Case) -> np.ndarray:
    """Test images whose top two outputs lie within what rounding may move."""
    workspace, name = case.workspace, case.workspace.spec.outputs[0]
    found = workspace.outputs(REFERENCE, workspace.test).arrays[name]
    if found.shape[1] == 1:
        return np.zeros(len(found), dtype=bool)
    view = VIEWS[case.heads[name]]
    try:  # outputs that hardly vary may be told apart by rounding alone
        truth, keras = (
            {name: each[name]} for each in (workspace.truth, workspace.outputs(REFERENCE).arrays)
        )
        (noise,) = compare(truth, keras, {name: replace(view, flat=True)}, np.float32)
    except (NoPower, Incomparable):  # parity says so; no answer is excused for it
        return np.zeros(len(found), dtype=bool)
    reach = 2 * limits.REACH.value * noise.rms
    viewed = np.sort(view(found), axis=1)
    return np.asarray(viewed[:, -1] - viewed[:, -2] <= reach)


def quantized_top1(case: Case) -> list[Measurement]:
    """What quantization costs against the float artifact, as measured and as proved."""
    reason = without_labels(case)
    if reason:
        return case.skip(INT8_CHANGE, reason)
    baseline = case.backend.baseline
    assert baseline is not None
    try:
        found, cached = case.tally(case.name)
        before, _ = case.tally(baseline)
    except ValueError as error:
        return uncounted(case, INT8_CHANGE, error)
    return measured_change(case, before, found, cached)


_LEAST = {"torch": limits.INT8_TORCH}
"""Schemes that lose less than `INT8_DEFAULT` allows, and what they may lose."""


def measured_change(
    case: Case, before: accuracy.Tally, found: accuracy.Tally, cached: bool
) -> list[Measurement]:
    """The change as measured, and whether it is shown to be no more than what is allowed.

    A user's model is judged by the interval alone. Our own quantizers must do better on the
    reference subjects, as measured too.

    Args:
        case: whose scheme it is.
        before: right answers of the float artifact.
        found: right answers of the int8 artifact.
        cached: whether the predictions were kept from an earlier run.
    """
    least, margin, concerns = None, 0.0 - case.workspace.demands.max_drop, Concern.COST
    if case.is_regression_test:
        least = _LEAST.get(case.backend.scheme, limits.INT8_DEFAULT).value
        margin, concerns = _tighter(margin, limits.MARGIN)
    return [
        accuracy.top1_change(case.about, before, found, least, "quantization", cached),
        accuracy.top1_non_inferiority(case.about, before, found, margin, cached, concerns),
    ]


def class_changes(case: Case) -> list[Measurement]:
    """No class pays for what the whole does not show."""
    reason = without_labels(case)
    if reason:
        return case.skip(CLASS_CHANGE, reason)
    baseline, test = case.backend.baseline, case.workspace.test
    assert baseline is not None
    assert test.labels is not None
    try:
        found, cached = case.tally(case.name)
        before, _ = case.tally(baseline)
    except ValueError as error:
        return uncounted(case, CLASS_CHANGE, error)
    allowed = case.workspace.demands.max_class_drop
    margin, concerns = None if allowed is None else 0.0 - allowed, Concern.COST
    if case.is_regression_test:
        margin, concerns = _tighter(margin, limits.CLASS_MARGIN)
    changes = classes.class_changes(before, found, test.labels, margin or 0.0, test.classes)
    return [classes.class_change(case.about, changes, margin, cached, concerns)]


def _tighter(allowed: float | None, own: Limit) -> tuple[float, Concern]:
    """What a user allows, or our own quantizers' limit where that is tighter."""
    if allowed is not None and allowed > own.value:
        return allowed, Concern.COST
    return own.value, Concern.CONVERSION
