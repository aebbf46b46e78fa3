"""The sample of standard faults that every run is asked about: those that a spec can have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.standard.kinds import fitting
from conversion.proof.standard.spec_operators import LAYERS, WEIGHTS
from conversion.proof.standard.table import STANDARD, rows, value_of


@dataclass(frozen=True, eq=False)
class Supposed:
    """A standard fault that a spec can have; without the spec that has it, which is large.

    Attributes:
        operator: the fault's name in the table.
        layer: the layer at fault, as it should be.
        magnitude: the fault in words.
        put: puts it into the spec.
        changed: the layer's weights that are others, as the good spec has them.
        alone: whether nothing but these weights is another.
    """

    operator: str
    layer: Layer
    magnitude: str
    put: Callable[[Spec], Spec]
    changed: tuple[np.ndarray, ...]
    alone: bool


def sample(spec: Spec) -> Iterator[Supposed]:
    """The faults of the table's sample, layer by layer; one that changes nothing is none.

    Args:
        spec: the model.
    """
    table = [cells for _, cells in rows(STANDARD) if cells[5]]
    fits = {word: {layer.name for layer in fitting(word, spec)} for _, word, *_ in table}
    for layer in spec.layers:
        for operator, word, value, _, magnitude, _ in table:
            if layer.name in fits[word]:
                put = _putting(operator, layer.name, value_of(value))
                other = put(spec).layer(layer.name)
                changed = _changed(layer, other)
                alone = _settings(layer) == _settings(other)
                if changed or not alone:
                    yield Supposed(operator, layer, magnitude, put, changed, alone)


def _putting(operator: str, layer: str, value: Any) -> Callable[[Spec], Spec]:
    change = WEIGHTS.get(operator) or LAYERS[operator]
    return lambda spec: change(spec, [layer], value)


def _settings(layer: Layer) -> tuple[object, ...]:
    return layer.kind, layer.config, layer.inputs


def _changed(layer: Layer, other: Layer) -> tuple[np.ndarray, ...]:
    pairs = ((array, other.weights[role]) for role, array in layer.weights.items())
    return tuple(one for one, two in pairs if one is not two and not np.array_equal(one, two))
