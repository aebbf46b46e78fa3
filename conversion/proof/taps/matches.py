"""Where layers are in a file, and what is known of them while they are looked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conversion.core.spec import Spec
from conversion.proof.taps.candidates import Fit, apart
from conversion.proof.taps.readings import Reading

EQUAL = 1e-6
"""Differences below it say nothing."""

SAME = 2e-5
"""Below it a tensor is as good as the truth to compute from."""


@dataclass(frozen=True)
class Match:
    """Where a layer's output is in a file.

    Attributes:
        layer: its name.
        tensor: the tensor that holds it; empty where none does.
        reading: how the tensor is read; None where none is.
        shape: of the layer, without the batch axis.
        error: rms of its difference from what the layer should give for its inputs in the file, as
            a part of the spread.
        group: the layers that are computed together, in order; seen at the last one.
        note: what is odd about it, in words; empty where nothing is.
    """

    layer: str
    tensor: str
    reading: Reading | None
    shape: tuple[int, ...]
    error: float
    group: tuple[str, ...]
    note: str = ""

    def read(self, value: np.ndarray) -> np.ndarray:
        """The layer's output out of its tensor, ``(N, *shape)``; as it is where it does not fit."""
        assert self.reading is not None
        try:
            return self.reading.of(value, self.shape)
        except ValueError:
            return value


def tensors_of(spec: Spec, matches: Mapping[str, Match], layers: Iterable[str]) -> set[str]:
    """The tensors that hold layers, or what those are computed from where none does.

    Args:
        spec: the model.
        matches: where its layers are.
        layers: their names.
    """
    found, waiting = set[str](), list(layers)
    while waiting:
        name = waiting.pop()
        if matches[name].tensor:
            found.add(matches[name].tensor)
        else:
            waiting += spec.layer(name).inputs
    return found


def sources(spec: Spec, matches: Mapping[str, Match], group: Sequence[str]) -> set[str]:
    """The tensors that layers which are computed together read.

    Args:
        spec: the model.
        matches: where its layers are.
        group: the layers.
    """
    read = (name for each in group for name in spec.layer(each).inputs if name not in group)
    return tensors_of(spec, matches, read)


@dataclass(frozen=True, eq=False)
class Known:
    """Values that stand for layers: those of the file, or supposed ones.

    Attributes:
        values: layer to ``(N, ...)``.
        fits: layer to the tensor that has them, where one has.
        other: layers whose values are not those of the truth.
    """

    values: dict[str, np.ndarray]
    fits: dict[str, Fit]
    other: set[str]

    def copy(self) -> Known:
        """The same, to be changed on its own."""
        return Known(dict(self.values), dict(self.fits), set(self.other))

    def put(self, layer: str, value: np.ndarray, fit: Fit, exact: np.ndarray) -> None:
        """Let a layer have the values of a tensor, which may be those of the truth."""
        self.values[layer], self.fits[layer] = value, fit
        (self.other.discard if apart(exact, value) <= SAME else self.other.add)(layer)
