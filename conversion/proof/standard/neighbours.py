"""What is beside a layer that it could be taken for: a twin, another source, what is flattened."""

from __future__ import annotations

from collections.abc import Iterator

from conversion.core.spec import Layer, Shape, Spec
from conversion.readers.schema_elementwise import TRAINING_ONLY

PASSING = (*TRAINING_ONLY, "InputLayer")
"""Layers that give what they read."""


def twin(spec: Spec, layer: Layer) -> Layer | None:
    """The next layer of the same class whose weights have the same shapes; None without one."""
    behind = spec.layers[[each.name for each in spec.layers].index(layer.name) + 1 :]
    alike = (each for each in behind if each.kind == layer.kind and _sizes(each) == _sizes(layer))
    return next(alike, None) if layer.weights else None


def _sizes(layer: Layer) -> dict[str, Shape]:
    return {role: array.shape for role, array in layer.weights.items()}


def flattened(spec: Spec, layer: Layer) -> tuple[int, int, int] | None:
    """The shape of the image ``(H, W, C)`` whose flat values a Dense reads; None of any other.

    An image of one pixel or one channel has its values in the same order either way.
    """
    before = layer
    while before.inputs and (before is layer or before.kind in PASSING):
        before = spec.layer(before.inputs[0])
    if layer.kind != "Dense" or before.kind != "Flatten":
        return None
    shape = spec.layer(before.inputs[0]).shape
    if len(shape) != 3 or shape[-1] == 1 or shape[:2] == (1, 1):
        return None
    height, width, channels = shape
    if height is None or width is None or channels is None:
        return None
    return height, width, channels


def sources_elsewhere(spec: Spec, layer: Layer) -> Iterator[tuple[str, str]]:
    """What a sum reads, each with the layer before it that gives another value of that shape."""
    if layer.kind == "Add":
        for name in layer.inputs:
            source = spec.layer(name)
            for other in source.inputs:
                alike = spec.layer(other).shape == source.shape and other not in layer.inputs
                if alike and source.kind not in PASSING:
                    yield name, other
