"""The float64 truth: a spec evaluated with numpy, by code that no backend shares.

It is slow and plain on purpose. Its rounding lies far below float32's, so the distance of Keras
from it is Keras's own rounding noise, and the distance of an artifact from it is that noise plus
whatever the conversion broke.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.truth import (
    activations,
    applications,
    custom,
    elementwise,
    in_float32,
    normalization,
    reshaping,
    spatial,
    windows,
)
from conversion.proof.truth.activations import ACTIVATIONS as ACTIVATIONS
from conversion.proof.truth.blas import one_thread

Arrays = Mapping[str, np.ndarray]

CHUNK = 50
"""Images whose layers are held at a time; a caller who knows what they cost says how many."""

PART = 2**21
"""Values of the largest layer that a thread evaluates at a time: 16 MB, which are found again in a
cache, and which the allocator keeps for the next layer."""

OPEN = 256
"""Stands for a size that the spec leaves open."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a spec gives for some inputs, in float64.

    Attributes:
        layers: layer name to its output, ``(N, ...)`` in Keras's layout.
        logits: output layer's name to its values before softmax or sigmoid.
    """

    layers: Mapping[str, np.ndarray]
    logits: Mapping[str, np.ndarray]


def evaluate(
    spec: Spec,
    inputs: Mapping[str, np.ndarray],
    keep: Collection[str] | None = None,
    given: Mapping[str, np.ndarray] | None = None,
    chunk: int = CHUNK,
) -> Evaluation:
    """Evaluate a spec in float64.

    Args:
        spec: the model.
        inputs: input name to array, ``(N, ...)`` in Keras's layout, any numeric dtype.
        keep: layers whose outputs to return; None for all of them.
        given: layer name to the output that it is to have, ``(N, ...)``, in place of its own; what
            only leads to such layers is not evaluated.
        chunk: images evaluated at a time.

    Returns:
        Outputs of the kept layers and the logits of every output that was evaluated.
    """
    kept = {layer.name for layer in spec.layers} if keep is None else set(keep)
    known = dict(given or {})
    wanted = kept | (set() if known else set(spec.outputs))
    layers: dict[str, list[np.ndarray]] = {name: [] for name in kept}
    logits: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(next(iter({**inputs, **known}.values()))), chunk):
        part = {name: array[start : start + chunk] for name, array in inputs.items()}
        held = {name: array[start : start + chunk] for name, array in known.items()}
        for layer, plain, value in walk(spec, part, wanted, held):
            if layer.name in kept:
                layers[layer.name] += value
            if layer.name in spec.outputs and layer.name not in known:
                logits.setdefault(layer.name, []).extend(plain)
    return Evaluation(
        {name: np.concatenate(parts) for name, parts in layers.items()},
        {name: np.concatenate(logits[name]) for name in spec.outputs if name in logits},
    )


def walk(
    spec: Spec,
    inputs: Mapping[str, np.ndarray],
    wanted: Collection[str],
    given: Mapping[str, np.ndarray] | None = None,
    rounded: bool = False,
) -> Iterator[tuple[Layer, list[np.ndarray], list[np.ndarray]]]:
    """Layers in the spec's order as they are evaluated, all images at once.

    A layer's values are let go when the last layer that reads them is done.

    Args:
        spec: the model.
        inputs: input name to ``(N, ...)``.
        wanted: the layers that are asked for.
        given: layer name to the output that it is to have, ``(N, ...)``.
        rounded: whether what float32 runtimes round differently is computed as in float32.

    Yields:
        A wanted layer with its values before and after its activation, some images in each array.
    """
    given = given or {}
    needed = _needed(spec, wanted, given)
    readers = [layer for layer in spec.layers if layer.name in needed]
    last = {name: layer.name for layer in readers for name in layer.inputs}
    parts = _parts(spec, len(next(iter({**inputs, **given}.values()))))
    images = [{name: array[part] for name, array in inputs.items()} for part in parts]
    values = [{name: array[part] for name, array in given.items()} for part in parts]
    with ThreadPoolExecutor(os.cpu_count()) as threads, one_thread():
        for layer in readers:
            if layer.name in given:
                plain = [each[layer.name] for each in values]
            else:  # a user's function, or Keras's process, may know no threads
                run = map if layer.whole else threads.map
                compute = partial(_watched, np.geterr(), spec, layer, rounded)
                plain = _put(values, layer, run(compute, images, values))
            if layer.name in wanted:
                yield layer, plain, [each[layer.name] for each in values]
            del plain
            for name in {layer.name, *layer.inputs}:
                if last.get(name, layer.name) == layer.name:
                    for each in values:
                        each.pop(name, None)


def _watched(
    errors: Mapping[str, Any],
    spec: Spec,
    layer: Layer,
    rounded: bool,
    chunk: Arrays,
    values: Arrays,
) -> tuple[np.ndarray, np.ndarray]:
    """`_layer` with what NumPy warns of as in the thread that asks for it."""
    with np.errstate(**errors):
        return _layer(spec, layer, rounded, chunk, values)


def _put(
    values: list[dict[str, np.ndarray]], layer: Layer, found: Iterable[tuple[np.ndarray, ...]]
) -> list[np.ndarray]:
    """Put a layer's values in their place; those before its activation are returned."""
    plain = []
    for held, (before, after) in zip(values, found, strict=True):
        held[layer.name] = after
        plain.append(before)
    return plain


def _parts(spec: Spec, count: int) -> list[slice]:
    """Images that a thread evaluates at a time."""
    sizes = ([OPEN if size is None else size for size in layer.shape] for layer in spec.layers)
    size = min(max(PART // max(map(prod, sizes)), 1), CHUNK)
    return [slice(start, start + size) for start in range(0, count, size)]


def evaluate_layer(spec: Spec, layer: Layer, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """What one layer gives for some inputs, in float64.

    Args:
        spec: the model, whose custom layers are known.
        layer: any but an input.
        inputs: of each layer that it reads ``(N, ...)``, any numeric dtype.

    Raises:
        ValueError: an input has a shape that the layer cannot take.
    """
    given = dict(zip(layer.inputs, inputs, strict=True))
    counts = {len(array) for array in given.values()}
    large = max(array.size for array in given.values()) > PART and not layer.whole
    parts = _parts(spec, max(counts)) if large and len(counts) == 1 else []

    def evaluated(part: slice) -> np.ndarray:
        values = {name: np.asarray(a[part], np.float64) for name, a in given.items()}
        return _watched(errors, spec, layer, False, {}, values)[1]

    errors = np.geterr()
    if len(parts) < 2:
        return evaluated(slice(None))
    with ThreadPoolExecutor(os.cpu_count()) as threads, one_thread():
        return np.concatenate(list(threads.map(evaluated, parts)))


def _needed(spec: Spec, kept: Collection[str], given: Collection[str]) -> set[str]:
    """The kept layers and all that they are computed from, up to those that are given."""
    needed = set(kept)
    for layer in reversed(spec.layers):
        if layer.name in needed and layer.name not in given:
            needed |= set(layer.inputs)
    return needed


def _layer(
    spec: Spec,
    layer: Layer,
    rounded: bool,
    chunk: Arrays,
    values: Arrays,
) -> tuple[np.ndarray, np.ndarray]:
    """The layer's values before and after its activation."""
    if layer.kind == "InputLayer":
        image = np.asarray(chunk[layer.name], dtype=np.float64)
        return image, image
    sources = [values[name] for name in layer.inputs]
    if layer.kind == "Softmax":
        return sources[0], activations.LAYERS["Softmax"](layer.config, sources[0])
    own = spec.custom.layers.get(layer.kind)
    if own is not None:
        plain = custom.compute(own, layer, sources)
    elif rounded and layer.kind in in_float32.LAYERS:
        plain = in_float32.LAYERS[layer.kind](layer, *sources)
    elif layer.kind in LAYERS:
        plain = LAYERS[layer.kind](layer, *sources)
    else:
        plain = custom.by_keras(spec.custom, layer, sources)
    return plain, (in_float32 if rounded else activations).activate(layer, plain)


LAYERS: dict[str, Callable[..., np.ndarray]] = {
    **windows.LAYERS,
    **spatial.LAYERS,
    **elementwise.LAYERS,
    **normalization.LAYERS,
    **reshaping.LAYERS,
    **applications.LAYERS,
}
"""Layer class to its arithmetic, before the layer's own activation."""
