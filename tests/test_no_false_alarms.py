"""Twenty runs of an unchanged subject: other images, threads, batches and kernels, and no red."""

from dataclasses import replace
from itertools import cycle, islice, product

import numpy as np
import pytest
from conversion.plugin.options import subjects

from conversion.backends import available
from conversion.core.artifact import Store
from conversion.core.measurement import Verdict
from conversion.proof.checks import checks
from conversion.proof.checks.case import Case

RUNS = 20
IMAGES = 1000
WHOLE = (2,)
"""Runs that take every image."""
BY_COUNT = ("quantized-top1", "classes", "calibration-stability")
"""Checks that only those runs are asked for: their limits are for a whole test set, and over a few
images a good model may miss them by chance."""

WAYS = list(islice(cycle(product((1, 2), (1, 7, 250, 100), (True, False))), RUNS))
"""Threads, images at a time, and whether PyTorch may use oneDNN."""


def pytest_generate_tests(metafunc):
    if "subject" in metafunc.fixturenames:
        metafunc.parametrize("subject", subjects(metafunc.config))


# `mkldnn.flags` sets a switch of Intel GPUs beside its own, and warns that there is none.
@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
@pytest.mark.slow
@pytest.mark.parametrize("run", range(RUNS))
def test_an_unchanged_subject_has_no_red(workspaces, subject, run, tmp_path, monkeypatch):
    import torch

    from conversion.workspace import budget

    threads, batch, onednn = WAYS[run]
    good = workspaces(subject)
    order = np.random.RandomState(run).permutation(len(good.subject.test))
    drawn = order if run in WHOLE else order[:IMAGES]
    redrawn = replace(good.subject, test=good.subject.test.subset(drawn))
    monkeypatch.setattr(budget, "BATCH", batch)
    # Every prediction is made again, in a store of this run alone; the artifacts are the same.
    for name in available():
        good.artifact(name)
    workspace = replace(good.injected(Store(tmp_path), {}, redrawn), threads=threads)
    with torch.backends.mkldnn.flags(enabled=onednn):
        measured = [
            found
            for name in available()
            for check in checks(name, ("structure", "parity", "quantization"))
            # An int8 engine of oneDNN is what the default scheme was made for.
            if (onednn or name != "torch-int8") and (run in WHOLE or check.name not in BY_COUNT)
            for found in check.measure(Case(workspace, name))
        ]
    assert len(measured) > 60
    assert [m.explain() for m in measured if m.verdict is not Verdict.PASS] == []
