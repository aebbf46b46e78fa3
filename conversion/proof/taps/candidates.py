"""Which tensors of a network hold given values: searched by samples, settled by all elements."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from conversion.proof.taps.readings import Reading, readings, sampled

NO_NUMBER = 1e18
"""Stands for NaN and infinities: values that are no numbers in the same places are alike."""

LARGEST = 1e140
"""What squares of can be summed."""

CLOSEST, NEAR = 8, 4.0
"""Tensors that are compared whole: so many, and so many times as far as the closest by samples."""


@dataclass(frozen=True)
class Fit:
    """A tensor read as a layer.

    Attributes:
        tensor: its name.
        reading: how it is read.
        error: rms of the difference, as a part of the wanted values' spread.
    """

    tensor: str
    reading: Reading
    error: float


def apart(wanted: np.ndarray, found: np.ndarray, spread: float | None = None) -> float:
    """How far values lie from others, as a part of those others' spread.

    Args:
        wanted: of any shape; the spread is theirs.
        found: of the same shape.
        spread: what `spread_of` gives for them, where it is known.
    """
    with np.errstate(all="ignore"):
        away = np.subtract(found, wanted, dtype=np.float32, casting="same_kind").ravel()
        square = float(np.dot(away, away))
    if not np.isfinite(square):
        away = (_plain(found) - _plain(wanted)).ravel()
        square = float(np.dot(away, away))
    rms = float(np.sqrt(square / max(away.size, 1)))
    return rms / (spread_of(wanted) if spread is None else spread)


def spread_of(wanted: np.ndarray) -> float:
    """What differences from values are given as a part of: their standard deviation.

    Where they are much larger than that, the rounding of float32 counts.
    """
    numbers = np.asarray(wanted, np.float64).ravel()
    with np.errstate(all="ignore"):
        mean, square = float(numbers.mean()), float(np.dot(numbers, numbers) / max(numbers.size, 1))
    if not np.isfinite(square):
        numbers = np.clip(numbers[np.isfinite(numbers)], -LARGEST, LARGEST)
        mean = float(numbers.mean()) if numbers.size else 0.0
        square = float(np.square(numbers).mean()) if numbers.size else 1.0
    deviation = np.sqrt(max(square - mean**2, 0.0))
    return max(float(deviation + np.sqrt(square) / 1024), 1e-30)


class Candidates:
    """The tensors of a network on some images, ready to be searched."""

    def __init__(
        self, values: Mapping[str, np.ndarray], shapes: Collection[tuple[int, ...]]
    ) -> None:
        """Sample every tensor in every order in which it may hold a layer.

        Args:
            values: tensor to ``(N, ...)``, in the network's order.
            shapes: of all layers, without the batch axis.
        """
        self._values = values
        self._places: dict[Reading, np.ndarray] = {}
        by_size: dict[int, set[tuple[int, ...]]] = {}
        for shape in shapes:
            by_size.setdefault(prod(shape), set()).add(shape)
        self._listed: dict[int, list[tuple[str, Reading]]] = {size: [] for size in by_size}
        rows: dict[int, list[np.ndarray]] = {size: [] for size in by_size}
        for name, value in values.items():
            size = value[0].size
            for reading, sample in self._samples(value, by_size.get(size, ())):
                self._listed[size].append((name, reading))
                rows[size].append(sample)
        self._rows = {
            size: np.stack(each).astype(np.float32) for size, each in rows.items() if each
        }

    def _samples(
        self, value: np.ndarray, shapes: Collection[tuple[int, ...]]
    ) -> list[tuple[Reading, np.ndarray]]:
        """A tensor's samples in every order that differs."""
        known: dict[bytes, tuple[Reading, np.ndarray]] = {}
        flat = value.reshape(len(value), -1)
        for shape in sorted(shapes):
            for reading in readings(value.shape[1:], shape):
                if reading not in self._places:
                    self._places[reading] = reading.places(sampled(flat.shape[1]))
                places = self._places[reading]
                known.setdefault(places.tobytes(), (reading, _plain(flat[:, places]).ravel()))
        return list(known.values())

    def sizes(self, tensor: str) -> int:
        """How many elements an image of a tensor has."""
        return int(self._values[tensor][0].size)

    def read(self, fit: Fit, shape: tuple[int, ...]) -> np.ndarray:
        """A tensor as a layer of a shape, ``(N, *shape)``."""
        return fit.reading.of(self._values[fit.tensor], shape)

    def fits(self, wanted: np.ndarray, among: Collection[str] | None = None) -> list[Fit]:
        """The tensors that hold values, the closest first.

        Args:
            wanted: ``(N, ...)``, what a layer should give.
            among: the tensors that may be named; all of them by default.

        Returns:
            The closest ones, with the error over all elements.
        """
        size = wanted[0].size
        if size not in self._rows:
            return []
        sample = wanted.reshape(len(wanted), -1)[:, sampled(size)].ravel()
        with np.errstate(over="ignore"):
            away = self._rows[size] - _plain(sample).astype(np.float32)
        rough = np.sqrt(np.einsum("ij,ij->i", away, away))
        order = [
            i
            for i in np.argsort(rough, kind="stable").tolist()
            if among is None or self._listed[size][i][0] in among
        ]
        close = [
            self._listed[size][i] for i in order[:CLOSEST] if rough[i] <= NEAR * rough[order[0]]
        ]
        spread = spread_of(wanted)
        found = [self._fit(wanted, spread, name, reading) for name, reading in close]
        return sorted(found, key=lambda fit: fit.error)

    def orders(self, wanted: np.ndarray, tensor: str) -> list[Fit]:
        """A tensor in every order in which it may hold values."""
        listed = self._listed.get(wanted[0].size, [])
        spread = spread_of(wanted)
        return [self._fit(wanted, spread, name, each) for name, each in listed if name == tensor]

    def _fit(self, wanted: np.ndarray, spread: float, name: str, reading: Reading) -> Fit:
        found = reading.of(self._values[name], wanted.shape[1:])
        return Fit(name, reading, apart(wanted, found, spread))


def _plain(values: np.ndarray) -> np.ndarray:
    numbers = np.nan_to_num(
        np.asarray(values, np.float64), nan=NO_NUMBER, posinf=NO_NUMBER, neginf=NO_NUMBER
    )
    return np.clip(numbers, -LARGEST, LARGEST)
