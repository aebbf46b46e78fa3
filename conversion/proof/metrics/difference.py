"""How far one output lies from another, and how much of that is rounding."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from conversion.proof.metrics import limits

STEADY = 200
"""Values that pool to a steady rms."""

TINY = 1e-300
"""In place of a level of 0."""

PRIOR = 4.0
"""Values that the pooled noise counts for in the noise of a channel of very few."""


@dataclass(frozen=True, eq=False)
class Difference:
    """How far one output of a candidate lies from the reference, after the view.

    Attributes:
        output: the output's name.
        n: number of images.
        rms: over everything.
        channels: rms by last axis, ``(C,)``.
        images: rms by image, ``(N,)``.
        largest: the largest absolute difference.
        spread: standard deviation of the reference over the images, pooled.
        level: rms of the reference.
        positions: values that an image has of each channel.
        showing: values of each channel that can show rounding, ``(C,)``; the others are held at an
            end by the view or by a ReLU, or are what a later layer makes of that end, and have no
            error, or all the same one, in any correct file.
        levels: rms of the reference by image, ``(N,)``.
    """

    output: str
    n: int
    rms: float
    channels: np.ndarray
    images: np.ndarray
    largest: float
    spread: float
    level: float
    positions: int
    showing: np.ndarray
    levels: np.ndarray

    @property
    def samples(self) -> int:
        """Values of a channel, those of all images together."""
        return self.n * self.positions

    @property
    def channel_noise(self) -> np.ndarray:
        """The rms by channel as rounding noise, ``(C,)``.

        Of few values it may be small by chance, as where a channel is zero in all images but one:
        then some of the pooled noise is added, as much as of `PRIOR` more values.
        """
        few = PRIOR / np.maximum(self.showing, 1) - PRIOR / STEADY
        added = np.maximum(few, 0.0) * self.rms**2
        least = limits.LEAST_ERROR.value * self.level
        return np.asarray(np.maximum(np.sqrt(self.channels**2 + added), least))

    @property
    def noise(self) -> float:
        """The rms as rounding noise, which is never less than half a unit in the last place."""
        return max(self.rms, limits.LEAST_ERROR.value * self.level)

    @property
    def image_noise(self) -> np.ndarray:
        """The pooled noise as that of each image, ``(N,)``: more where its values are larger."""
        return np.asarray(self.noise * np.maximum(self.levels / max(self.level, TINY), 1.0))


def with_rounding(noise: Difference, other: Difference | None) -> Difference:
    """Keras's noise where another right runtime may round more, be it by chance or by its order.

    Args:
        noise: Keras's.
        other: what float32 arithmetic of another order is off by, on any images; None for nothing.
    """
    if other is None:
        return noise
    return replace(
        noise,
        rms=float(np.hypot(noise.rms, other.rms)),
        channels=np.hypot(noise.channels, other.channels),
        images=np.hypot(noise.images, other.rms),
    )
