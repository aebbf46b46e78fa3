"""Levels: does the file mean what ONNX Runtime's optimised form of it computes?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conversion.backends.external_ports import given_back
from conversion.core.errors import NoTruth
from conversion.core.measurement import Measurement, Verdict
from conversion.proof.checks.case import Case
from conversion.proof.checks.margins import not_answers
from conversion.proof.metrics import optimization_levels as levels
from conversion.proof.metrics.compare import Incomparable, NoPower, uncompared
from conversion.proof.metrics.quantities import LEVELS_ERROR

FLOAT_IMAGES = 64
"""Images for a float file: another level changes its rounding only, on every image alike."""


OWN_IMAGES = 16
"""Images of the user's own by which it is seen what eight bits cost a layer."""


def optimisation_levels(case: Case) -> list[Measurement]:
    """The outputs as deployed are those of the graph as it is written."""
    count = FLOAT_IMAGES if case.backend.is_float else None  # answers are counted, so more of them
    plain = _unoptimised(case, count)
    found = case.workspace.outputs(case.name).arrays
    deployed = {name: array[:count] for name, array in found.items()}
    if case.backend.is_float:
        try:
            noise = {d.output: d.noise for d in case.noise}
        except (NoPower, Incomparable) as error:
            return [uncompared(case.about, LEVELS_ERROR, NoPower(str(error)))]
        return levels.float_levels(case.about, deployed, plain, case.heads, noise)
    few = case.workspace.layers.count
    ours, theirs = (
        {**_layers(case, optimised), **{name: a[:few] for name, a in outputs.items()}}
        for optimised, outputs in ((True, deployed), (False, plain))
    )
    exact = _exact(case)
    costs = {name: levels.cost(exact[name], deployed[name], plain[name]) for name in exact}
    measured = levels.integer_levels(case.about, ours, theirs, costs)
    if exact and any(each.verdict is Verdict.FAIL for each in measured):
        costs = _costs(case, ours, theirs) | costs
        measured = levels.integer_levels(case.about, ours, theirs, costs)
    if not_answers(case):
        return measured
    (output,) = case.workspace.spec.outputs
    pair, right = (deployed[output], plain[output]), exact.get(output)
    return [*measured, *levels.equal_answers(case.about, *pair, right)]


def _costs(
    case: Case, ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Layer to what `cost` gives: a layer in float may amplify what rounding did before it.

    On the user's own images, if there are enough: drawn ones may exceed the ranges.
    """
    from conversion.proof.checks.int8.seen import seen_in

    reference = case.workspace.layers
    count = reference.tests if reference.tests >= OWN_IMAGES else reference.count
    seen, exact = seen_in(case), dict[str, list[np.ndarray]]()
    held = {name: seen.integers(name) for name in seen.taps.seen}
    steps = {name: each.steps for name, each in held.items() if each is not None and each.steps}
    for _, layers in reference.chunks(count):
        for name, value in layers:
            if name in steps:
                exact.setdefault(name, []).append(value)

    def real(name: str, integers: np.ndarray) -> np.ndarray:
        scale, zero = steps[name].scale, steps[name].zero_point.astype(np.int32)
        return (integers.astype(np.int32) - zero) * np.asarray(scale, np.float64)

    found = {}
    for name, parts in exact.items():
        pair = [real(name, side[name]) for side in (ours, theirs) if side[name].dtype.kind != "f"]
        read = seen.taps.matches[name].read
        if pair:
            found[name] = levels.cost(np.concatenate(parts), *(read(each)[:count] for each in pair))
    return found


def _exact(case: Case) -> dict[str, np.ndarray]:
    """What the outputs should be; nothing where the model has a layer of the user's own."""
    try:
        return dict(case.workspace.truth)
    except NoTruth:
        return {}


def _unoptimised(case: Case, count: int | None) -> dict[str, np.ndarray]:
    """The outputs on the first parity images, or all, of the graph as it is written."""
    from conversion.backends.onnx_file import is_guarded, open_session

    spec, path = case.workspace.spec, case.artifact.path
    options = {"optimised": False, "guarded": is_guarded(case.artifact)}
    session = open_session(str(path), path.name, case.workspace.threads, **options)
    names = [port.name for port in session.get_outputs()]
    inputs = {name: array[:count] for name, array in case.workspace.parity_inputs.items()}
    found = _run(session, names, spec.inputs, inputs, case.workspace.streaming.batch)
    named = zip(spec.outputs, found, strict=True)
    return {name: given_back(value, spec.layer(name).shape) for name, value in named}


def _layers(case: Case, optimised: bool) -> dict[str, np.ndarray]:
    """The layers that the file holds as integers, in the spec's order.

    Only what leaves a QuantizeLinear is looked at: an integer tensor can be an output too without
    keeping ONNX Runtime from fusing what computes it, a float one cannot.
    """
    from conversion.backends.onnx_file import is_guarded, load, open_session, with_outputs
    from conversion.proof.checks.int8.seen import seen_in

    workspace, path = case.workspace, case.artifact.path
    model = load(path)
    try:
        seen = seen_in(case)
    except NoTruth:  # of a layer of the user's own nobody knows where it is
        return {}
    held = {name: seen.integers(name) for name in seen.taps.seen}
    places = {name: each.name for name, each in held.items() if each is not None}
    names = list(dict.fromkeys(places.values()))
    content = with_outputs(model, names)
    guarded = is_guarded(case.artifact)
    session = open_session(content, path.name, workspace.threads, optimised, guarded)
    inputs, size = workspace.layers.inputs, workspace.streaming.chunk
    found = _run(session, names, workspace.spec.inputs, inputs, size) if names else []
    values = dict(zip(names, found, strict=True))
    return {layer: values[name] for layer, name in places.items()}


def _run(
    session: Any,
    names: list[str],
    inputs: Sequence[str],
    images: Mapping[str, np.ndarray],
    size: int,
) -> list[np.ndarray]:
    """What an open session gives, in the batches of every evaluation."""
    from conversion.backends.onnx_file import run_session

    ports = [port.name for port in session.get_inputs()]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for start in range(0, len(next(iter(images.values()))), size):
        batch = [images[name][start : start + size] for name in inputs]
        found = run_session(session, names, dict(zip(ports, batch, strict=True)))
        for name, value in zip(names, found, strict=True):
            parts[name].append(value)
    return [np.concatenate(parts.pop(name)) for name in names]  # never all of them twice
