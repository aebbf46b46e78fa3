"""One weight of tens of thousands off by one per cent: seen by taps and outputs, and bit by bit."""

import numpy as np
import pytest
from conversion.plugin.options import subjects

from conversion.proof.faults import power as detection
from conversion.proof.faults import trial
from conversion.proof.faults.fault import Fault

SAMPLE = 100
"""Weights drawn by seed from all of a subject's; 98 of 100 must be seen by taps or outputs."""


ELSEWHERE = {"mlperf-tiny": pytest.mark.slow}
"""The embedded model stands for both every day: it is the same network."""


def pytest_generate_tests(metafunc):
    if "subject" in metafunc.fixturenames:
        names = [s for s in subjects(metafunc.config) if s in ("embedded", "mlperf-tiny")]
        params = [pytest.param(s, marks=ELSEWHERE.get(s, ()), id=s) for s in names]
        metafunc.parametrize("subject", params)


def drawn(spec, count, seed=0):
    """Layer, role and flat index of weights drawn from all of them alike."""
    places = [
        (layer.name, role, a.size) for layer in spec.layers for role, a in layer.weights.items()
    ]
    ends = np.cumsum([size for _, _, size in places])
    for position in np.random.RandomState(seed).choice(ends[-1], count, replace=False):
        index = int(np.searchsorted(ends, position, side="right"))
        layer, role, size = places[index]
        yield layer, role, int(position - (ends[index] - size))


def off_by_one_per_cent(layer, role, index, check):
    from conversion.backends.torch_layers import parameters
    from conversion.backends.torch_module import attribute_name
    from conversion.proof.faults.injection import in_state

    def change(workspace):
        it = workspace.spec.layer(layer)
        marked = {r: np.zeros_like(a) for r, a in it.weights.items()}
        marked[role].flat[index] = 1.0
        found = parameters(it.kind, it.config, marked)

        def edit(state):
            for name, where in found.items():
                if name != "num_batches_tracked":
                    state[f"{attribute_name(layer)}.{name}"][where == 1.0] *= 1.01

        return edit

    def inject(workspace, folder):
        return in_state(change(workspace))(workspace, folder)

    name = f"{layer}-{role}-{index}"
    return Fault(name, "conversion", "torch-fp32", "1 %", check, layer, inject)


@pytest.mark.slow
def test_taps_and_outputs_see_98_of_100(workspaces, subject):
    whole = workspaces(subject)
    good = detection.prepared(whole.injected(whole.store, {}, detection.limited(whole.subject)))
    missed = [
        place
        for place in drawn(good.spec, SAMPLE)
        if not any(seen(good, place, check) for check in ("layers", "output-error"))
    ]
    assert len(missed) <= 2, missed


def test_bit_by_bit_all_are_seen_and_named(workspaces, subject):
    good = workspaces(subject)
    for place in drawn(good.spec, 40, seed=1):
        fault = off_by_one_per_cent(*place, "weights")
        caught, found = trial.caught(good, fault, fault.inject)
        assert caught, place
        assert trial.naming(good, fault, found) is not None, place


def seen(good, place, check):
    fault = off_by_one_per_cent(*place, check)
    return trial.caught(good, fault, fault.inject)[0]
