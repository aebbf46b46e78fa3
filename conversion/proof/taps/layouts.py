"""A layer's output out of the tensors that may hold it, in the layout of the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from conversion.core.spec import Layer, Shape
from conversion.proof.taps.graph import Tensor
from conversion.proof.taps.stages import UNSEEN, is_affine, stages


def in_layout(layer: Layer, tensors: Sequence[Tensor], values: Sequence[np.ndarray]) -> np.ndarray:
    """The first tensor of the layer's shape, else the one that the layer itself gives.

    Args:
        layer: whose output it should be.
        tensors: those that may hold it, the best first.
        values: of each tensor, as the file has it.

    Returns:
        Real numbers, ``(N, ...)``.
    """
    pairs = list(zip(tensors, values, strict=True))
    found = [tensor.in_source(value) for tensor, value in pairs]
    stored = [replace(tensor, order=()).in_source(value) for tensor, value in pairs]
    fitting = (value for value in _readings(found, stored, layer.shape) if fits(value, layer.shape))
    return next(fitting, _regrouped(layer, found[-1]))


def _readings(
    found: list[np.ndarray], stored: list[np.ndarray], shape: Shape
) -> Iterator[np.ndarray]:
    yield from found
    # A layer that is channels first in Keras may be in the file as in the source, or turned.
    yield from stored
    yield from (np.moveaxis(value, -1, 1) for value in stored if value.ndim > 2)
    # Between layers of one spatial axis the file may keep another one, of size 1.
    for value in (*found, *stored):
        if value.ndim == 4:
            yield from (value.squeeze(axis) for axis in (1, 2) if value.shape[axis] == 1)
    # Of a pooled image it may keep both, or have them elsewhere: one axis alone holds the values.
    sizes = [size for size in shape if size is not None]
    length = max(sizes, default=0)
    for value in stored if prod(sizes) == length else ():
        if value.ndim > 1 and value[0].size == max(value.shape[1:]) == length:
            yield value.reshape(len(value), *sizes)


def fits(value: np.ndarray, shape: Shape) -> bool:
    """Whether a value has a layer's shape behind its batch axis; an open size fits any."""
    sizes = value.shape[1:]
    pairs = zip(sizes, shape, strict=False)
    return len(sizes) == len(shape) and all(stated in (None, size) for size, stated in pairs)


def _regrouped(layer: Layer, value: np.ndarray) -> np.ndarray:
    """In the layer's shape, where a file has the same elements in the same order in another.

    So it is with the axis of groups that a group normalization has while it computes, and with a
    reshape that the file merges with the next one.
    """
    whole = [size for size in layer.shape if size is not None]
    moved = not stages(layer) and not is_affine(layer) and layer.kind not in UNSEEN
    if (moved or layer.kind in ("GroupNormalization", "Dot")) and len(whole) == len(layer.shape):
        return value.reshape(len(value), *whole) if value[0].size == prod(whole) else value
    return value
