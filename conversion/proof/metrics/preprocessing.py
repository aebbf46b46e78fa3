"""Two ways to prepare the same images: how far apart, and which recipe explains it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from conversion.subjects.preprocessing import FAMILIES, Formula

PARTS = 4
"""Dark to bright, in which a drift is looked for."""

LEAST_PIXELS = 500
"""Pixels of a part that a drift is stated of."""

SAME = 0.3
"""Grey levels within which two kinds of arithmetic are the same, from black to white; 1/255 and
1/256 are one apart."""

PIXELS = 255.0


@dataclass(frozen=True, eq=False)
class Affine:
    """What makes input values of grey levels: ``factor * level + offset``, channel by channel.

    Attributes:
        factor: ``(C,)`` float64.
        offset: ``(C,)`` float64.
    """

    factor: np.ndarray
    offset: np.ndarray

    def behind(self, first: Affine) -> Affine:
        """This one applied to what another gives."""
        return Affine(self.factor * first.factor, self.factor * first.offset + self.offset)

    def is_near(self, other: Affine) -> bool:
        """Whether black and white become the same, within `SAME` of a grey level of the other."""
        black = np.abs(self.offset - other.offset)
        white = np.abs(PIXELS * (self.factor - other.factor) + self.offset - other.offset)
        return bool((np.maximum(black, white) <= SAME * np.abs(other.factor)).all())

    def __str__(self) -> str:
        def listed(numbers: np.ndarray) -> str:
            return ",".join(dict.fromkeys(f"{number + 0.0:.4g}" for number in numbers))

        return f"pixels x {listed(self.factor)} + {listed(self.offset)}"


def affine(formula: Formula, channels: int) -> Affine:
    """A formula as factor and offset.

    Args:
        formula: any; that it may reverse the channels is not looked at.
        channels: how many there are.
    """
    std = np.broadcast_to(np.array(formula.std, np.float64), channels)
    mean = np.broadcast_to(np.array(formula.mean, np.float64), channels)
    return Affine(formula.scale / std, -mean / std)


@dataclass(frozen=True, eq=False)
class Fit:
    """How well images are explained by grey levels, an order of channels and an `Affine`.

    Attributes:
        reversed: whether the channels are those of the grey levels in reverse.
        affine: what fits best; the factor of a channel without any variation is 0.
        rms: of what is left, in grey levels; infinite where nothing is explained.
        largest: of what is left, likewise.
    """

    reversed: bool
    affine: Affine
    rms: float
    largest: float


def fitted(images: np.ndarray, raw: Sequence[np.ndarray], prefer: bool = False) -> Fit | None:
    """The order of channels, factors and offsets by which grey levels come nearest to images.

    Args:
        images: ``(N, H, W, C)``.
        raw: ``(H, W, C)`` grey levels of each.
        prefer: the order of channels that is kept where both are as good: whether in reverse.

    Returns:
        The best fit; None where the shapes are others.
    """
    if any(each.shape != image.shape for each, image in zip(raw, images, strict=True)):
        return None
    values, levels = images.astype(np.float64), np.stack(raw)
    kept = _fit(values, levels, prefer)
    other = _fit(values, levels, not prefer)
    return other if other.rms < CLEARLY * kept.rms else kept


CLEARLY = 0.9
"""A change must take off more than a tenth of what is left, or it is not made."""


def _fit(values: np.ndarray, levels: np.ndarray, backwards: bool) -> Fit:
    ordered = levels[..., ::-1] if backwards else levels
    axes = (0, 1, 2)
    mean, centre = values.mean(axis=axes), ordered.mean(axis=axes)
    spread = ((ordered - centre) ** 2).mean(axis=axes)
    together = ((ordered - centre) * (values - mean)).mean(axis=axes)
    factor = np.divide(together, spread, out=np.zeros_like(spread), where=spread > 0)
    offset = mean - factor * centre
    found = Affine(factor, offset)
    if (factor == 0).any():
        return Fit(backwards, found, np.inf, np.inf)
    left = np.abs((values - offset) / factor - ordered)
    return Fit(backwards, found, float(np.sqrt((left**2).mean())), float(left.max()))


def arithmetic(found: Affine, training: Affine) -> str:
    """What an arithmetic is beside that of training, in words; empty where it is the same.

    Args:
        found: what fits the images that ship.
        training: of the same channels.
    """
    if found.is_near(training):
        return ""
    named = (words for words, each in _alternatives(training) if found.is_near(each))
    words = next(named, str(found))
    return f"{words}; in training {training}"


def _alternatives(training: Affine) -> Iterable[tuple[str, Affine]]:
    """Mistakes in scaling by name, with what they compute."""
    one, none = np.ones_like(training.factor), np.zeros_like(training.offset)
    plain = Affine(one, none)
    scale = Affine(training.factor, none)
    yield "scaled twice", training.behind(training)
    yield "scaled twice, centred once", training.behind(scale)
    yield "not scaled", plain
    yield "the mean is not subtracted", scale
    yield (
        "the mean is subtracted before scaling",
        Affine(training.factor, training.factor * training.offset / np.abs(training.factor).max()),
    )
    backwards = Affine(training.factor[::-1], training.offset[::-1])
    yield "mean and std in the other order of channels", backwards
    for words, factor, offset in (
        ("pixels / 255", 1 / 255, 0.0),
        ("pixels / 256", 1 / 256, 0.0),
        ("pixels / 127.5 - 1", 1 / 127.5, -1.0),
        ("pixels / 128 - 1", 1 / 128, -1.0),
    ):
        yield words, Affine(factor * one, offset * one)
    for family, formula in FAMILIES.items():
        if max(len(formula.mean), len(formula.std)) in (1, len(one)):
            found = affine(formula, len(one))
            yield f"as keras.applications.{family}", found
            yield f"as keras.applications.{family} on scaled pixels", found.behind(scale)


@dataclass(frozen=True, eq=False)
class Apart:
    """How far images that ship are from those of training, in grey levels.

    Attributes:
        images: ``(N,)``, the largest difference of each image.
        places: ``(N, 3)``, the row, column and channel of it.
        drift: the mean difference that is furthest from 0, of dark to bright pixels of a channel.
    """

    images: np.ndarray
    places: np.ndarray
    drift: float


def apart(shipped: np.ndarray, training: np.ndarray, arithmetic: Affine) -> Apart:
    """How far two preparations of the same images are apart.

    Args:
        shipped: ``(N, H, W, C)`` float32.
        training: the same.
        arithmetic: what made the training images of grey levels.
    """
    images, places = np.empty(len(shipped)), np.empty((len(shipped), 3), int)
    sums, counts = (np.zeros((PARTS, shipped.shape[-1])) for _ in range(2))
    for index, (one, other) in enumerate(zip(shipped, training, strict=True)):
        levels = (other.astype(np.float64) - arithmetic.offset) / arithmetic.factor
        moved = (one.astype(np.float64) - other) / arithmetic.factor
        place = np.unravel_index(np.abs(moved).argmax(), moved.shape)
        images[index], places[index] = np.abs(moved[place]), place
        part = np.clip(levels * PARTS / (PIXELS + 1), 0, PARTS - 1).astype(int)
        for number in range(PARTS):
            here = part == number
            sums[number] += np.where(here, moved, 0.0).sum(axis=(0, 1))
            counts[number] += here.sum(axis=(0, 1))
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts >= LEAST_PIXELS)
    return Apart(images, places, float(np.abs(means).max()))
