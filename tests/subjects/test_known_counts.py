"""The reference subjects have the right answers that they are known to have."""

import pytest

from conversion.backends import BACKENDS, missing
from conversion.proof.metrics.accuracy import tally

FLOAT = [name for name, backend in BACKENDS.items() if backend.is_float]
# Counted once with Keras alone, outside this project's code.
RIGHT_ANSWERS = {"mlperf-tiny": 8719, "embedded": 9191}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("artifact", FLOAT)
@pytest.mark.parametrize("subject", RIGHT_ANSWERS)
def test_every_float_artifact_has_the_known_count(workspaces, subject, artifact):
    if reason := missing(artifact):
        pytest.skip(reason)
    workspace = workspaces(subject)
    outputs = workspace.outputs(artifact, workspace.test)
    scores = outputs.arrays[workspace.spec.outputs[0]]
    assert int((scores.argmax(axis=1) == workspace.test.labels).sum()) == RIGHT_ANSWERS[subject]


def test_the_evaluation_covers_every_image_of_every_class(workspaces):
    workspace = workspaces("embedded")
    found = tally(
        workspace.outputs("onnx-fp32", workspace.test).arrays["dense"], workspace.test.labels
    )
    assert found.n == 10_000
    assert [images for _, images in found.per_class] == [1000] * 10
    assert found.confusion.sum() == 10_000
