"""The float64 truth: a spec evaluated with numpy, by code that no backend shares.

It is slow and plain on purpose. Its rounding lies far below float32's, so the distance of Keras
from it is Keras's own rounding noise, and the distance of an artifact from it is that noise plus
whatever the conversion broke.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.truth import (
    activations,
    applications,
    custom,
    elementwise,
    normalization,
    reshaping,
    spatial,
    windows,
)
from conversion.proof.truth.activations import ACTIVATIONS as ACTIVATIONS

CHUNK = 50
"""Images evaluated at a time; a caller who knows what an image costs says how many."""


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
                layers[layer.name].append(value)
            if layer.name in spec.outputs and layer.name not in known:
                logits.setdefault(layer.name, []).append(plain)
    return Evaluation(
        {name: np.concatenate(parts) for name, parts in layers.items()},
        {name: np.concatenate(logits[name]) for name in spec.outputs if name in logits},
    )


def walk(
    spec: Spec,
    inputs: Mapping[str, np.ndarray],
    wanted: Collection[str],
    given: Mapping[str, np.ndarray] | None = None,
) -> Iterator[tuple[Layer, np.ndarray, np.ndarray]]:
    """Layers in the spec's order as they are evaluated, all images at once.

    A layer's values are let go when the last layer that reads them is done.

    Args:
        spec: the model.
        inputs: input name to ``(N, ...)``.
        wanted: the layers that are asked for.
        given: layer name to the output that it is to have, ``(N, ...)``.

    Yields:
        A wanted layer with its values before and after its activation.
    """
    values = dict(given or {})
    needed = _needed(spec, wanted, values)
    last = {
        name: layer.name for layer in spec.layers for name in layer.inputs if layer.name in needed
    }
    for layer in spec.layers:
        if layer.name not in needed:
            continue
        if layer.name in values:
            plain = values[layer.name]
        else:
            plain, values[layer.name] = _layer(spec, layer, inputs, values)
        if layer.name in wanted:
            yield layer, plain, values[layer.name]
        del plain
        for name in {layer.name, *layer.inputs}:
            if last.get(name, layer.name) == layer.name:
                values.pop(name, None)


def evaluate_layer(spec: Spec, layer: Layer, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """What one layer gives for some inputs, in float64.

    Args:
        spec: the model, whose custom layers are known.
        layer: any but an input.
        inputs: of each layer that it reads ``(N, ...)``, any numeric dtype.

    Raises:
        ValueError: an input has a shape that the layer cannot take.
    """
    given = {n: np.asarray(a, np.float64) for n, a in zip(layer.inputs, inputs, strict=True)}
    return _layer(spec, layer, {}, given)[1]


def _needed(spec: Spec, kept: Collection[str], given: Collection[str]) -> set[str]:
    """The kept layers and all that they are computed from, up to those that are given."""
    needed = set(kept)
    for layer in reversed(spec.layers):
        if layer.name in needed and layer.name not in given:
            needed |= set(layer.inputs)
    return needed


def _layer(
    spec: Spec, layer: Layer, chunk: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The layer's values before and after its activation."""
    if layer.kind == "InputLayer":
        image = np.asarray(chunk[layer.name], dtype=np.float64)
        return image, image
    sources = [values[name] for name in layer.inputs]
    if layer.kind == "Softmax":
        return sources[0], activations.LAYERS["Softmax"](layer.config, sources[0])
    own = spec.custom.layers.get(layer.kind)
    plain = custom.compute(own, layer, sources) if own else LAYERS[layer.kind](layer, *sources)
    return plain, activations.activate(layer, plain)


LAYERS: dict[str, Callable[..., np.ndarray]] = {
    **windows.LAYERS,
    **spatial.LAYERS,
    **elementwise.LAYERS,
    **normalization.LAYERS,
    **reshaping.LAYERS,
    **applications.LAYERS,
}
"""Layer class to its arithmetic, before the layer's own activation."""
