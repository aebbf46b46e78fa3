"""How many answers are right, for every artifact, on the full evaluation set?"""

import numpy as np
import pytest

from conversion.backends import BACKENDS
from conversion.checks.accuracy import tally
from conversion.subjects.data import Dataset
from conversion.verification.accuracy import without_labels

pytestmark = pytest.mark.accuracy

FLOAT = [name for name, backend in BACKENDS.items() if backend.is_float]
# Counted once with Keras alone, outside this project's code.
RIGHT_ANSWERS = {"mlperf-tiny": 8719, "embedded": 9191}


def test_accuracy(case, check, judge):
    judge(check.measure(case))


@pytest.mark.parametrize("artifact", FLOAT)
@pytest.mark.parametrize("subject", RIGHT_ANSWERS)
def test_every_float_artifact_has_the_known_count(workspaces, subject, artifact):
    if reason := BACKENDS[artifact].missing:
        pytest.skip(reason)
    workspace = workspaces(subject)
    outputs = workspace.outputs(artifact, workspace.test)
    scores = outputs.arrays[workspace.spec.outputs[0]]
    assert int((scores.argmax(axis=1) == workspace.test.labels).sum()) == RIGHT_ANSWERS[subject]


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


def test_the_evaluation_covers_every_image_of_every_class(workspaces):
    workspace = workspaces("embedded")
    found = tally(
        workspace.outputs("onnx-fp32", workspace.test).arrays["dense"], workspace.test.labels
    )
    assert found.n == 10_000
    assert [images for _, images in found.per_class] == [1000] * 10
    assert found.confusion.sum() == 10_000
