"""Rows: does an image get the same outputs whatever batch it comes in?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from conversion.backends import Capability
from conversion.core.artifact import Runner
from conversion.core.measurement import Measurement, Verdict, advised
from conversion.proof.checks.case import Case
from conversion.proof.metrics import limits, structure
from conversion.proof.metrics.compare import Incomparable, NoPower, compare, is_constant, uncompared
from conversion.proof.metrics.quantities import BATCH_1, BATCH_7, ROW_ORDER, ROWS
from conversion.proof.metrics.views import views_of

Outputs = Mapping[str, np.ndarray]

DYNAMIC = (
    "dynamically quantized: ranges are computed at run time over a batch, so that an image's "
    "answer depends on the others in it"
)
"""What is said of such a file."""

AGAIN = "asked again, the same file gives the same images other outputs: no batch is at fault"
"""What is said of a runtime that does so."""

TRIED = 3
"""Times that the same images are asked for once more where a batch seems to matter."""

COUNTS = (28, 14, 7)
"""Images of the checks on batches and row order, the more the less one costs; multiples of 7."""


def rows(case: Case) -> list[Measurement]:
    """Batches of 1 and 7 and another row order give the same rows."""
    try:
        noise = {d.output: d.noise for d in case.noise}
    except (NoPower, Incomparable) as error:
        return [uncompared(case.about, ROWS.whole, NoPower(str(error)))]
    batch = case.workspace.streaming.batch
    count = next((each for each in COUNTS if each <= batch), COUNTS[-1])
    images = _varied(case, count)
    inputs = {name: array[images] for name, array in case.workspace.parity_inputs.items()}
    runner = case.workspace.runner(case.name)
    straight = runner.run(inputs)
    dynamic = _is_dynamic(case)
    drawn = case.workspace.synthetic_seed is not None
    if drawn and not case.backend.is_float and (same := _all_the_same(case, straight)):
        return case.skip(BATCH_1, same)
    # What a dynamic file's rows owe each other is said, not judged, so it keeps the finer limit.
    if not case.backend.is_float and not dynamic:
        noise = _of_steps(case, straight, noise, images)
    order = np.random.RandomState(0).permutation(count)
    shuffled = runner.run({name: array[order] for name, array in inputs.items()})
    ways = {
        BATCH_1: _in_batches(runner.run, inputs, 1),
        BATCH_7: _in_batches(runner.run, inputs, 7),
        ROW_ORDER: {name: array[np.argsort(order)] for name, array in shuffled.items()},
    }
    about, heads = case.about, case.heads
    ways = {what: other for what, other in ways.items() if not _fixed(runner) or what is ROW_ORDER}
    found = [
        measured
        for what, other in ways.items()
        for measured in structure.rows_follow(what, about, straight, other, heads, noise)
    ]

    def follows(one: Outputs, other: Outputs) -> bool:
        judged = structure.rows_follow(ROW_ORDER, about, one, other, heads, noise)
        return not any(map(_fails, judged))

    known = {count: straight, 7: ways.get(BATCH_7, {}), 1: ways.get(BATCH_1, {})}
    if any(map(_fails, found)) and _changes_its_mind(runner.run, inputs, known, follows):
        found = [replace(e, reason="; ".join(filter(None, (AGAIN, e.reason)))) for e in found]
    if _fixed(runner):
        found += case.skip(
            BATCH_1, "the file's batch is fixed, so there is no other to compare with"
        )
    return [advised(each, DYNAMIC) for each in found] if dynamic else found


def _changes_its_mind(
    run: Callable[[Outputs], Outputs],
    inputs: Outputs,
    known: Mapping[int, Outputs],
    follows: Callable[[Outputs, Outputs], bool],
) -> bool:
    """Whether the same images get other outputs when they are asked for again.

    Args:
        run: the file.
        inputs: input name to ``(N, ...)``.
        known: how many of them were asked for at a time, to what was given first.
        follows: whether outputs are those of the same images.
    """
    for size, given in known.items():
        first = {name: array[:size] for name, array in given.items()}
        images = {name: array[:size] for name, array in inputs.items()}
        if first and not all(follows(first, run(images)) for _ in range(TRIED)):
            return True
    return False


def _varied(case: Case, count: int) -> np.ndarray:
    """Images for the batches, ``(count,)``: the first, or those that get the rarest outputs.

    A batch shows nothing where all of its images get the same, as where a sigmoid is saturated.
    """
    views, first = views_of(case.heads), np.arange(count)
    for name, exact in case.workspace.truth.items():
        if is_constant(exact[:count], case.heads[name]):
            seen = views[name](exact).reshape(len(exact), -1)
            far = np.abs(seen - np.median(seen, axis=0)).max(axis=1)
            return np.sort(np.argsort(-far, kind="stable")[:count])
    return first


def _fails(measured: Measurement) -> bool:
    return measured.verdict is Verdict.FAIL


def _of_steps(
    case: Case,
    straight: Mapping[str, np.ndarray],
    noise: Mapping[str, float],
    images: np.ndarray,
) -> dict[str, float]:
    """Output name to how far rounding moves it in an integer file.

    A value on the edge between two steps falls to either side, by how its scale is multiplied in
    another batch, and the layers behind it make more of that: at most what the steps cost the file
    anyway.
    """
    views = views_of(case.heads)
    exact = {name: array[images] for name, array in case.workspace.truth.items()}
    try:
        own = compare(exact, straight, views, np.float32)
    except (NoPower, Incomparable):
        return dict(noise)
    least = limits.ROWS.value
    return {d.output: max(noise[d.output], float(d.images.max()) / least) for d in own}


def _all_the_same(case: Case, found: Mapping[str, np.ndarray]) -> str:
    """That an integer file gives all drawn images the same answer, so that no order of them shows.

    How much eight bits leave of the model is for the checks of its layers to say.
    """
    try:
        compare(found, found, views_of(case.heads))
    except NoPower as error:
        return f"{error} in eight bits, for drawn images: pass --data FILE with those of its task"
    except Incomparable:
        pass
    return ""


def _fixed(runner: Runner) -> bool:
    """Whether a file takes so many images at a time and no other number."""
    return any(port.batch for port in getattr(runner, "ports", ()))


def _is_dynamic(case: Case) -> bool:
    """Whether the file computes its ranges as it runs, which only external ones do."""
    if not case.artifact.external or not case.backend.offers(Capability.TAPS):
        return False
    return case.exposed.network.is_dynamic


def _in_batches(
    run: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]],
    inputs: Mapping[str, np.ndarray],
    size: int,
) -> dict[str, np.ndarray]:
    starts = range(0, len(next(iter(inputs.values()))), size)
    parts = [run({name: a[start : start + size] for name, a in inputs.items()}) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
