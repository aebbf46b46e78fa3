"""The one comparison of arrays; everything that compares outputs goes through it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.views import VIEWS, View, identity

FLAT = 1e-6
"""Outputs that vary over the images by less than this part of their rms say nothing."""

LOOKED_AT = 15
"""Values of a channel by which it is seen that most are one and the same."""


class Incomparable(Exception):
    """The candidate's outputs cannot be compared, which is a failure of the candidate."""


class NoPower(Exception):
    """The reference's outputs are such that agreement with them would mean nothing."""


def compare(
    reference: Mapping[str, np.ndarray],
    candidate: Mapping[str, np.ndarray],
    views: Mapping[str, View] | None = None,
    dtype: np.dtype | type | None = None,
) -> tuple[Difference, ...]:
    """Compare the outputs of a candidate with those of a reference.

    Args:
        reference: output name to ``(N, ...)``.
        candidate: the same names in the same order.
        views: output name to the view in which both sides are compared; identity by default.
        dtype: the dtype that the candidate must have; the reference's by default.

    Returns:
        One difference an output, in the reference's order.

    Raises:
        Incomparable: another count or other names of outputs, another shape or dtype, NaN or Inf
            in the candidate.
        NoPower: no outputs, an empty batch, NaN or Inf in the reference, or outputs so flat that
            agreement would mean nothing.
    """
    if not reference:
        raise NoPower("the reference has no outputs")
    if list(reference) != list(candidate):
        raise Incomparable(f"outputs should be {list(reference)}; they are {list(candidate)}")
    found = []
    for name, ours in reference.items():
        each = Comparison(name, (views or {}).get(name, identity), dtype)
        each.add(ours, candidate[name])
        found.append(each.difference())
    return tuple(found)


def is_flat(reference: np.ndarray, candidate: np.ndarray, view: View = identity) -> bool:
    """Whether an output ``(N, ...)`` has no power in a view, beside a candidate's."""
    try:
        compare({"": reference}, {"": candidate}, {"": view}, np.float32)
    except NoPower:
        return True
    except Incomparable:
        return False
    return False


def is_constant(reference: np.ndarray, head: str) -> bool:
    """Whether an output ``(N, ...)`` is the same for all images, as what it means is compared."""
    return is_flat(reference, reference.astype(np.float32), VIEWS[head])


def uncompared(about: About, what: Quantity, error: Incomparable | NoPower) -> Measurement:
    """What stands where nothing could be compared: a failure, or that nothing is decided."""
    if isinstance(error, Incomparable):
        return about.measure(what, reason=str(error), verdict=Verdict.FAIL)
    return about.measure(what, reason=f"no power: {error}", verdict=Verdict.UNDECIDED)


def odd_one(reference: Mapping[str, np.ndarray], candidate: Mapping[str, np.ndarray]) -> str:
    """What makes outputs not finite or not the very same, for where rounding has no say.

    Args:
        reference: output name to array.
        candidate: must hold the same names in the same order, and the same bytes.

    Returns:
        What differs, in words; empty where nothing does.
    """
    if list(reference) != list(candidate):
        return f"outputs should be {list(reference)}; they are {list(candidate)}"
    for name, ours in reference.items():
        theirs = candidate[name]
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            return (
                f"output '{name}' should be {ours.dtype} {ours.shape}; it is {theirs.dtype} "
                f"{theirs.shape}"
            )
        if not np.isfinite(theirs).all():
            return f"output '{name}' is not finite"
        if ours.tobytes() != theirs.tobytes():
            return f"output '{name}' differs"
    return ""


def _common(values: np.ndarray) -> np.ndarray:
    """The value that most of a channel's are, ``(C,)``: some are looked at; NaN where none is.

    Args:
        values: ``(N, positions, C)``.
    """
    flat = values.reshape(-1, values.shape[-1])
    some = flat[:: max(len(flat) // LOOKED_AT, 1)][:LOOKED_AT]
    common = np.median(some, axis=0)
    return np.where(2 * np.count_nonzero(some == common, axis=0) > len(some), common, np.nan)


class Comparison:
    """One output of a candidate beside the reference's, a chunk of images at a time.

    However the images are cut into chunks, the difference is the same but for rounding in float64.

    Attributes:
        output: the output's name.
    """

    def __init__(
        self,
        output: str,
        view: View = identity,
        dtype: np.dtype | type | None = None,
        known: Difference | None = None,
    ) -> None:
        """Begin with no image.

        Args:
            output: its name.
            view: the view in which both sides are compared.
            dtype: the dtype that the candidate must have; the reference's by default.
            known: of another candidate from the very same reference in the same view; level and
                spread are then not measured again.
        """
        self.output, self._view, self._dtype, self._known = output, view, dtype, known
        self._images: list[np.ndarray] = []
        self._levels: list[np.ndarray] = []
        self._channels: np.ndarray | float = 0.0
        self._showing: np.ndarray | int = 0
        self._common: np.ndarray | None = None
        self._size, self._largest, self._odd = 0, 0.0, 0
        self._spread = _Spread()
        self._error: Incomparable | NoPower | None = None

    def add(self, reference: np.ndarray, candidate: np.ndarray) -> None:
        """Add the next images.

        Args:
            reference: ``(N, ...)``.
            candidate: the same shape.
        """
        self._error = self._error or self._refused(reference, candidate)
        if self._error is not None:
            return
        odd = int(np.count_nonzero(~np.isfinite(candidate)))
        self._odd += odd
        if odd:
            return
        ours = np.asarray(self._view(reference), dtype=np.float64)
        error = np.subtract(self._view(candidate), ours, dtype=np.float64)
        shaped = error.reshape(len(error), -1, error.shape[-1] if error.ndim > 1 else 1)
        if self._known is None:
            self._spread.add(ours)
            self._levels.append(np.sqrt(np.square(ours).reshape(len(ours), -1).mean(axis=1)))
            values = reference.reshape(shaped.shape)
            if self._common is None:
                self._common = _common(values)
            showing = self._view.showing(values) & (values != self._common)
            self._showing = self._showing + np.count_nonzero(showing, axis=(0, 1))
        self._images.append(np.einsum("npc,npc->n", shaped, shaped))
        self._channels = self._channels + np.einsum("npc,npc->c", shaped, shaped)
        self._size += error.size
        self._largest = max(self._largest, float(error.max()), -float(error.min()))

    def _refused(
        self, reference: np.ndarray, candidate: np.ndarray
    ) -> Incomparable | NoPower | None:
        """Why images cannot be compared; None where they can."""
        name, wanted = self.output, np.dtype(self._dtype or reference.dtype)
        if reference.shape != candidate.shape:
            return Incomparable(
                f"output '{name}' should have the shape {reference.shape}; it has {candidate.shape}"
            )
        if candidate.dtype != wanted:
            return Incomparable(f"output '{name}' should be {wanted}; it is {candidate.dtype}")
        if reference.size == 0:
            return NoPower(f"output '{name}' has no elements to compare")
        if self._known is None and not np.isfinite(reference).all():
            return NoPower(f"the reference's output '{name}' is not finite")
        return None

    def difference(self) -> Difference:
        """How far the candidate lies from the reference on all images that were added.

        Raises:
            Incomparable: another shape or dtype, NaN or Inf in the candidate.
            NoPower: an empty batch, NaN or Inf in the reference, or an output so flat that
                agreement would mean nothing.
        """
        name = self.output
        if self._error is not None:
            raise self._error
        if self._odd:
            raise Incomparable(f"output '{name}' has {self._odd} values that are NaN or Inf")
        known = self._known or self._spread
        level, spread = known.level, known.spread
        if not self._view.flat and (spread <= FLAT * level or spread == 0.0):
            raise NoPower(f"output '{name}' hardly varies (spread {spread:.2g}, level {level:.2g})")
        images, channels = np.concatenate(self._images), np.atleast_1d(self._channels)
        return Difference(
            output=name,
            n=len(images),
            rms=float(np.sqrt(images.sum() / self._size)),
            channels=np.sqrt(channels * len(channels) / self._size),
            images=np.sqrt(images * len(images) / self._size),
            largest=self._largest,
            spread=spread,
            level=level,
            positions=self._size // (len(images) * len(channels)),
            showing=np.atleast_1d(self._known.showing if self._known else self._showing),
            levels=self._known.levels if self._known else np.concatenate(self._levels),
        )


class _Spread:
    """Rms of values, and their standard deviation over the images, a chunk at a time."""

    def __init__(self) -> None:
        self._count, self._size = 0, 0
        self._squares, self._apart, self._within = 0.0, 0.0, 0.0
        self._mean: np.ndarray | float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Add images, ``(N, ...)``.

        Sums of squares about two means are combined exactly (Chan, Golub and LeVeque 1979).
        """
        count, mean = len(values), values.mean(axis=0)
        between = np.square(mean - self._mean).sum() * self._count / (self._count + count)
        self._apart += float(values.var(axis=0).sum() + between) * count
        self._mean = self._mean + (mean - self._mean) * (count / (self._count + count))
        self._count, self._size = self._count + count, self._size + values.size
        self._squares += float(np.square(values).sum())
        if self._count == 1:
            self._within = float(values.std())

    @property
    def level(self) -> float:
        """Rms."""
        return float(np.sqrt(self._squares / self._size))

    @property
    def spread(self) -> float:
        """The standard deviation over the images, pooled; of one image alone, over its elements."""
        return float(np.sqrt(self._apart / self._size)) if self._count > 1 else self._within
