"""The sample of standard faults that every run is asked about: those that a spec can have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.standard.kinds import FITS
from conversion.proof.standard.spec_operators import LAYERS, WEIGHTS
from conversion.proof.standard.table import STANDARD, rows, value_of


@dataclass(frozen=True, eq=False)
class Supposed:
    """A spec with one standard fault.

    Attributes:
        operator: the fault's name in the table.
        layer: the layer at fault, as it should be.
        magnitude: the fault in words.
        spec: the model with it.
        changed: the layer's weights that are others, as the good spec has them, by role.
        alone: whether nothing but these weights is another.
    """

    operator: str
    layer: Layer
    magnitude: str
    spec: Spec
    changed: dict[str, np.ndarray]
    alone: bool


def sample(spec: Spec) -> Iterator[Supposed]:
    """The faults of the table's sample, layer by layer; one that changes nothing is none.

    Args:
        spec: the model.
    """
    table = [cells for _, cells in rows(STANDARD) if cells[5]]
    for layer in spec.layers:
        for operator, word, value, _, magnitude, _ in table:
            if FITS[word](layer):
                change = WEIGHTS.get(operator) or LAYERS[operator]
                wrong = change(spec, [layer.name], value_of(value))
                other = wrong.layer(layer.name)
                changed = _changed(layer, other)
                alone = _settings(layer) == _settings(other)
                if changed or not alone:
                    yield Supposed(operator, layer, magnitude, wrong, changed, alone)


def _settings(layer: Layer) -> tuple[object, ...]:
    return layer.kind, layer.config, layer.inputs


def _changed(layer: Layer, other: Layer) -> dict[str, np.ndarray]:
    return {
        role: array
        for role, array in layer.weights.items()
        if array is not other.weights.get(role)
        and not np.array_equal(array, other.weights.get(role, np.zeros(0)))
    }
