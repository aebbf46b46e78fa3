"""Are the weights that a file holds those of the spec, as they are or folded together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from conversion.core.measurement import Measurement
from conversion.core.quantity import About, Quantity
from conversion.proof.metrics import limits
from conversion.proof.metrics.folding import roundings
from conversion.proof.metrics.quantities import WEIGHTS_EQUAL, WEIGHTS_FOLDED

LARGEST = 50
"""Rows of a measurement at most."""


@dataclass(frozen=True, eq=False)
class Held:
    """A weight of the spec beside what a file holds of it.

    Attributes:
        layer: the layer; the last one of its group where several are folded together.
        what: which weight, in words: ``the kernel of conv2d_1``.
        found: as the file has it.
        wanted: float32 as in the spec where it must be the same bit by bit, else float64.
        terms: the size that rounding is relative to; None where it must be the same.
    """

    layer: str
    what: str
    found: np.ndarray
    wanted: np.ndarray
    terms: np.ndarray | None = None

    @property
    def exact(self) -> bool:
        """Whether the file must have it bit by bit."""
        return self.terms is None

    def differing(self) -> np.ndarray:
        """Which elements are not right; all of them where shape or dtype is another."""
        if self.terms is not None:
            return self.distances() > limits.FOLDED.value
        found, wanted = np.ascontiguousarray(self.found), np.ascontiguousarray(self.wanted)
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            return np.ones(wanted.shape or (1,), bool)
        bits = f"u{wanted.dtype.itemsize}"
        return np.atleast_1d(found.view(bits) != wanted.view(bits))

    def distances(self) -> np.ndarray:
        """How far folded values are from what they must be, in roundings of float32."""
        wanted = self.wanted
        terms = np.abs(wanted) if self.terms is None else self.terms
        try:
            found, whole, sizes = np.broadcast_arrays(self.found, wanted, terms)
        except ValueError:
            return np.full(wanted.shape or (1,), np.inf)
        return np.atleast_1d(roundings(found, whole, sizes))

    def sentence(self) -> str:
        """What is wrong with it."""
        found, wanted = np.asarray(self.found), np.asarray(self.wanted)
        wrong = self.differing()
        if self.exact and (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            return (
                f"{self.what} is {found.dtype} {found.shape}, expected {wanted.dtype} "
                f"{wanted.shape}"
            )
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        laid = np.broadcast_to(found, wrong.shape) if found.size in (1, wrong.size) else found
        expected = np.broadcast_to(wanted, wrong.shape)
        at = place[0] if len(place) == 1 else place
        return (
            f"{int(wrong.sum())} of {wrong.size} values of {self.what} differ, the first at {at} "
            f"is {laid[place]:.9g}, expected {expected[place]:.9g}"
        )


def weights(
    about: About,
    order: Sequence[str],
    held: Sequence[Held],
    missing: Sequence[str],
    names: tuple[Quantity, Quantity] = (WEIGHTS_EQUAL, WEIGHTS_FOLDED),
) -> list[Measurement]:
    """Every weight of the spec is in the file: as it is bit by bit, folded ones within rounding.

    Args:
        about: what is measured.
        order: the layers in the spec's order.
        held: the weights that were found.
        missing: layers of which some weight was not found.
        names: what is measured of weights as they are, and of folded ones.
    """
    rank = {name: index for index, name in enumerate(order)}
    groups = {True: [h for h in held if h.exact], False: [h for h in held if not h.exact]}
    wrong = {
        exact: sorted(
            (h for h in found if h.differing().any()), key=lambda h: rank.get(h.layer, len(rank))
        )
        for exact, found in groups.items()
    }
    measured = []
    if groups[True] or not groups[False]:
        lost = bool(missing) or not held
        where = ", ".join(missing[:4]) or "any layer"
        measured.append(
            _measured(
                *(about, names[0], len(wrong[True]), wrong[True], len(groups[True])),
                f"no weights were found of {where}" if lost else "",
                (missing or (None,))[0],
            )
        )
    if groups[False]:
        # The other measurement says what is missing, where there is one.
        far = max(float(h.distances().max()) for h in groups[False])
        lost = bool(missing) and not groups[True] and far <= limits.FOLDED.value
        measured.append(
            _measured(
                *(about, names[1], far, wrong[False], len(groups[False])),
                f"no weights were found of {', '.join(missing[:4])}" if lost else "",
            )
        )
    return measured


def equal_arrays(
    about: About, spec: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray]
) -> list[Measurement]:
    """Every stored array is the spec's, bit by bit, and there is no other.

    Args:
        about: what is measured.
        spec: name to array, as the spec has it in the file's layout.
        stored: name to array, as the file has it.
    """
    none = np.asarray(np.nan)
    held = [
        Held(name.rpartition(".")[0], name, stored.get(name, none), spec.get(name, none))
        for name in dict.fromkeys((*spec, *stored))
    ]
    return weights(about, (), held, ()) if held else [about.measure(WEIGHTS_EQUAL, 0, n=0)]


def _measured(
    about: About,
    what: Quantity,
    value: float,
    wrong: Sequence[Held],
    n: int,
    doubt: str,
    layer: str | None = None,
) -> Measurement:
    found = about.measure(
        what,
        value,
        doubt=doubt,
        layer=wrong[0].layer if wrong else layer,
        n=n,
        rows=tuple(_row(h) for h in wrong[:LARGEST]),
    )
    return replace(found, reason="; ".join(filter(None, (*_first(wrong), doubt))))


def _first(wrong: Sequence[Held]) -> list[str]:
    if not wrong:
        return []
    others = len(wrong) - 1
    return [wrong[0].sentence(), f"and {others} more" if others else ""]


def _row(held: Held) -> Mapping[str, object]:
    wrong = held.differing()
    return {
        "layer": held.layer,
        "what": held.what,
        "differ": int(wrong.sum()),
        "of": int(wrong.size),
        "first": held.sentence(),
    }
