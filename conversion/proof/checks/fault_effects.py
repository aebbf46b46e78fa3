"""How far standard faults stand above the limits, at the next layers that were compared."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import digest
from conversion.core import environment as machine
from conversion.core.progress import stage
from conversion.core.spec import KERNELS, Layer, Spec
from conversion.proof import truth
from conversion.proof.checks.logits import logits_of
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.layers import Layers
from conversion.proof.standard.sample import Supposed
from conversion.proof.taps.foldings import readers
from conversion.workspace.entries import kept
from conversion.workspace.layer_reference import PACKAGES, LayerReference

IMAGES = 16
"""Images that faults are evaluated on at most."""

VALUES = 10_000_000
"""Values of layers of these images together: a large model gets fewer."""

FOUND = "effects.json"

Effects = list[tuple[str, float]]
"""For each fault the layer where it stands out most, and by how many times the limit there."""


@dataclass(frozen=True)
class Extent:
    """How much of the sample is evaluated, which costs no more than the truth of the layers.

    That is a fifth of a run at most: Keras's layers, and every file, cost as much each or more.

    Attributes:
        faults: those that are asked about: all, or every so many-th one.
        images: on how many.
    """

    faults: tuple[Supposed, ...]
    images: int


def extent(
    reference: LayerReference, faults: Sequence[Supposed], points: Collection[str]
) -> Extent:
    """How much of a sample can be afforded: fewer images, then fewer faults of every layer.

    Args:
        reference: the model, and the images.
        faults: the sample.
        points: the layers that were compared.
    """
    spec, following = reference.spec, readers(reference.spec)
    work = {layer.name: _work(layer) for layer in spec.layers}
    passed = {name: _until(name, following, points) for name in {f.layer.name for f in faults}}
    cost = {name: sum(work[each] for each in found) for name, found in passed.items()}
    most = min(IMAGES, VALUES // reference.streaming.values)
    images = len(next(iter(reference.first(max(most, 1)).values())))
    whole = reference.count * sum(work.values())
    one = max(sum(cost[fault.layer.name] for fault in faults), 1)
    if one > whole:
        return Extent(tuple(faults[:: -(-one // whole)]), 1)
    return Extent(tuple(faults), min(images, whole // one))


def _work(layer: Layer) -> int:
    """Products and sums that a layer costs for an image, about."""
    values = prod(size or 1 for size in layer.shape)
    reads = [prod(layer.weights[role].shape[:-1]) for role in KERNELS if role in layer.weights]
    return values * max([1, *reads])


def effects(
    reference: LayerReference,
    faults: Sequence[Supposed],
    noise: Mapping[str, Difference],
    heads: Mapping[str, str],
    images: int,
) -> Effects:
    """How far each fault stands above the limit where it is compared next; kept in the store.

    Args:
        reference: the model, the images, and the truth.
        faults: the sample.
        noise: Keras's own, of the layers that were compared; outputs among them, and those before
            their activation (`logits_of`).
        heads: output name to what it means, as in `VIEWS`.
        images: so many of the first ones.

    Returns:
        One for each fault; no layer and 0 where nothing behind it was compared.
    """
    spec, inputs = reference.spec, reference.first(images)
    key = {
        "spec": spec.digest,
        "inputs": digest.of_arrays(inputs.values()),
        "noise": {name: [each.rms, each.n, each.level] for name, each in noise.items()},
        "heads": dict(heads),
        "faults": [[fault.operator, fault.layer.name] for fault in faults],
        "cpu": machine.processor().digest,
    }

    def build(folder: Path) -> Mapping[str, Any]:
        (folder / FOUND).write_text(json.dumps(_effects(reference, faults, noise, heads, inputs)))
        return {}

    entry = kept(reference.store, spec, "fault-effects", key, PACKAGES, build, (__name__, __name__))
    return [(by, times) for by, times in json.loads(entry.file(FOUND).read_text())]


def _effects(
    reference: LayerReference,
    faults: Sequence[Supposed],
    noise: Mapping[str, Difference],
    heads: Mapping[str, str],
    inputs: Mapping[str, np.ndarray],
) -> Effects:
    spec, found = reference.spec, Effects()
    count = len(next(iter(inputs.values())))
    logits = {name: logits_of(name) for name in spec.outputs if logits_of(name) in noise}
    following = readers(spec)
    exact: Mapping[str, np.ndarray] = {}  # only where another artifact has not been asked the same
    with stage(f"evaluating {len(faults)} standard faults in float64"), np.errstate(all="ignore"):
        for fault in faults:
            passed = _until(fault.layer.name, following, noise)
            points = [name for name in passed if name in noise]
            before = [logits[name] for name in points if name in logits]
            known = (str(count), fault.operator, fault.layer.name, *points, *before)
            if points and known not in reference.seen:
                exact = exact or _all_of(truth.evaluate(spec, inputs))
                wrong = _evaluated(fault.put(spec), passed, points, exact)
                reference.seen[known] = _strongest(heads, noise, exact, wrong, points + before)
            found.append(reference.seen[known] if points else ("", 0.0))
    return found


def _strongest(
    heads: Mapping[str, str],
    noise: Mapping[str, Difference],
    exact: Mapping[str, np.ndarray],
    wrong: Mapping[str, np.ndarray],
    points: Sequence[str],
) -> tuple[str, float]:
    """The compared layer at which a fault stands out most, and by how many times the limit."""
    compared = Layers(heads, noise)
    for name in points:
        compared.add(name, exact[name], wrong[name].astype(np.float32))
    errors = ((each.layer, each.times_limit) for each in compared.errors())
    return max(errors, key=lambda each: each[1])


def _until(
    layer: str, following: Mapping[str, Sequence[Layer]], points: Collection[str]
) -> list[str]:
    """The layers from one to the next that were compared, on every way; these too."""
    waiting, found = [layer], dict[str, None]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += [] if name in points else [each.name for each in following[name]]
    return list(found)


def _evaluated(
    wrong: Spec, passed: Sequence[str], points: Sequence[str], exact: Mapping[str, np.ndarray]
) -> Mapping[str, np.ndarray]:
    """What the compared layers give with a fault, from the true values of all that is before it."""
    read = {name for each in passed for name in wrong.layer(each).inputs}
    given = {name: exact[name] for name in read - set(passed)}
    return _all_of(truth.evaluate(wrong, {}, points, given))


def _all_of(found: truth.Evaluation) -> dict[str, np.ndarray]:
    """Layers, and outputs before their activation."""
    return {**found.layers, **{logits_of(name): each for name, each in found.logits.items()}}
