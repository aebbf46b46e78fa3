"""How far standard faults stand above the limits, at the next layers that were compared."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import digest
from conversion.core import environment as machine
from conversion.core.progress import stage
from conversion.core.spec import Spec
from conversion.proof import truth
from conversion.proof.metrics.compare import Difference
from conversion.proof.metrics.layers import Layers
from conversion.proof.standard.sample import Supposed
from conversion.workspace.entries import kept
from conversion.workspace.layer_reference import PACKAGES, LayerReference

IMAGES = 16
"""Images that faults are evaluated on at most."""

VALUES = 10_000_000
"""Values of layers of these images together: a large model gets fewer."""

FOUND = "effects.json"

Effects = list[tuple[str, float]]
"""For each fault the layer where it stands out most, and by how many times the limit there."""


def images_for(reference: LayerReference) -> int:
    """Images that faults are evaluated on."""
    most = min(IMAGES, VALUES // reference.streaming.values)
    return len(next(iter(reference.first(max(most, 1)).values())))


def effects(
    reference: LayerReference,
    faults: Sequence[Supposed],
    noise: Mapping[str, Difference],
) -> Effects:
    """How far each fault stands above the limit where it is compared next; kept in the store.

    Args:
        reference: the model, the images, and the truth.
        faults: the sample.
        noise: Keras's own, of the layers that were compared; outputs among them.

    Returns:
        One for each fault; no layer and 0 where nothing behind it was compared.
    """
    spec, inputs = reference.spec, reference.first(images_for(reference))
    key = {
        "spec": spec.digest,
        "inputs": digest.of_arrays(inputs.values()),
        "noise": {name: [each.rms, each.n, each.level] for name, each in noise.items()},
        "cpu": machine.processor().digest,
    }

    def build(folder: Path) -> Mapping[str, Any]:
        (folder / FOUND).write_text(json.dumps(_effects(reference, faults, noise, inputs)))
        return {}

    entry = kept(reference.store, spec, "fault-effects", key, PACKAGES, build, (__name__, __name__))
    return [(by, times) for by, times in json.loads(entry.file(FOUND).read_text())]


def _effects(
    reference: LayerReference,
    faults: Sequence[Supposed],
    noise: Mapping[str, Difference],
    inputs: Mapping[str, np.ndarray],
) -> Effects:
    spec, found = reference.spec, Effects()
    heads = {name: spec.head(name) for name in spec.outputs}
    readers = _readers(spec)
    with stage(f"evaluating {len(faults)} standard faults in float64"), np.errstate(all="ignore"):
        exact = truth.evaluate(spec, inputs).layers
        for fault in faults:
            passed = _until(fault.layer.name, readers, noise)
            points = [name for name in passed if name in noise]
            known = (fault.operator, fault.layer.name, *points)
            if known not in reference.seen:
                best = ("", 0.0)
                if points:
                    wrong = _evaluated(fault.put(spec), passed, points, exact)
                    compared = Layers(heads, noise)
                    for name in points:
                        compared.add(name, exact[name], wrong[name].astype(np.float32))
                    best = max(
                        ((each.layer, each.times_limit) for each in compared.errors()),
                        key=lambda each: each[1],
                    )
                reference.seen[known] = best
            found.append(reference.seen[known])
    return found


def _readers(spec: Spec) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {layer.name: [] for layer in spec.layers}
    for layer in spec.layers:
        for name in layer.inputs:
            found[name].append(layer.name)
    return found


def _until(layer: str, readers: Mapping[str, Iterable[str]], points: Collection[str]) -> list[str]:
    """The layers from one to the next that were compared, on every way; these too."""
    waiting, found = [layer], dict[str, None]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += [] if name in points else readers[name]
    return list(found)


def _evaluated(
    wrong: Spec, passed: Sequence[str], points: Sequence[str], exact: Mapping[str, np.ndarray]
) -> Mapping[str, np.ndarray]:
    """What the compared layers give with a fault, from the true values of all that is before it."""
    read = {name for each in passed for name in wrong.layer(each).inputs}
    given = {name: exact[name] for name in read - set(passed)}
    return truth.evaluate(wrong, {}, points, given).layers
