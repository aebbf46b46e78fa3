"""How many answers are right, for every artifact, on the full evaluation set?"""

import numpy as np
import pytest

from conversion.backends import BACKENDS
from conversion.checks.accuracy import tally
from conversion.subjects.data import Dataset

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
    whole = case.workspace.test.subset(np.arange(400))
    shift = Dataset(whole.images[1:], (whole.labels[1:] + 3) % 10, "permuted, one image less")
    name = case.workspace.spec.outputs[0]
    answers = case.workspace.outputs("keras-fp32", whole).arrays[name].argmax(axis=1)
    expected = int((answers[1:] == (whole.labels[1:] + 3) % 10).sum())
    found = tally(case.workspace.outputs("keras-fp32", shift).arrays[name], shift.labels)
    assert (found.n, found.hits) == (399, expected)
    assert expected < 200  # most permuted labels are wrong, or the permutation did nothing


def test_the_evaluation_covers_every_image_of_every_class(workspaces):
    workspace = workspaces("embedded")
    found = tally(
        workspace.outputs("onnx-fp32", workspace.test).arrays["dense"], workspace.test.labels
    )
    assert found.n == 10_000
    assert [images for _, images in found.per_class] == [1000] * 10
    assert found.confusion.sum() == 10_000
