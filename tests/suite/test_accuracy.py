"""How many answers are right, for every artifact, on the full evaluation set?"""

import numpy as np
import pytest

from conversion.proof.checks.accuracy import without_labels
from conversion.proof.metrics.accuracy import tally
from conversion.subjects.data import Dataset

pytestmark = pytest.mark.accuracy


def test_accuracy(case, check, judge):
    judge(check.measure(case))


@pytest.mark.artifacts("keras-fp32")
def test_counts_follow_permuted_labels_and_one_image_less(case):
    if reason := without_labels(case):
        pytest.skip(reason)
    name = case.workspace.spec.outputs[0]
    (classes,) = case.workspace.spec.layer(name).shape
    whole = case.workspace.test.subset(np.arange(min(400, len(case.workspace.test))))
    others = (whole.labels + 1) % max(classes, 2)
    shift = Dataset(whole.images[1:], others[1:], "permuted, one image less")
    scores = case.workspace.outputs("keras-fp32", whole).arrays[name]
    answers = scores.argmax(axis=1) if classes > 1 else scores[:, 0] > 0.5
    expected = int((answers[1:] == others[1:]).sum())
    found = tally(case.workspace.outputs("keras-fp32", shift).arrays[name], shift.labels)
    assert (found.n, found.hits) == (len(whole) - 1, expected)
    assert expected < len(whole) / 2  # most are wrong, or nothing was permuted
