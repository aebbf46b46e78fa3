"""Are the weights that a file holds those of the spec, as they are or folded together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.core.spec import KERNELS, Layer, Spec
from conversion.proof.metrics import limits
from conversion.proof.metrics.folding import roundings
from conversion.proof.metrics.layers import LayerError
from conversion.proof.metrics.quantities import (
    WEIGHTS_BEHAVE,
    WEIGHTS_EQUAL,
    WEIGHTS_FOLDED,
    WEIGHTS_SEEN,
)
from conversion.proof.metrics.weights_seen import weights_seen

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
        covers: arrays of the spec that are seen by it.
        note: what else is known of it, in words.
        folds: how many layers are folded into it, each of which adds its roundings.
    """

    layer: str
    what: str
    found: np.ndarray
    wanted: np.ndarray
    terms: np.ndarray | None = None
    covers: tuple[np.ndarray, ...] = ()
    note: str = ""
    folds: int = 1

    @staticmethod
    def nowhere(layer: Layer) -> Held:
        """What is to be said of a layer of which a weight is nowhere."""
        none = np.zeros(0, np.float32)
        return Held(
            layer.name, f"a weight of {layer.name}", none, none, None, tuple(layer.weights.values())
        )

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

    @property
    def mostly(self) -> bool:
        """Whether most elements are right, so that it is no other weight; zeros tell nothing."""
        wrong = self.differing()
        try:
            found, wanted, wrong = np.broadcast_arrays(self.found, self.wanted, wrong)
        except ValueError:
            return False
        telling = wrong[(found != 0) | (wanted != 0)]
        return not telling.size or bool(np.mean(telling) < 0.5)

    def distances(self) -> np.ndarray:
        """How far folded values are from what they must be, in roundings for each folded layer."""
        wanted = self.wanted
        terms = np.abs(wanted) if self.terms is None else self.terms
        try:
            found, whole, sizes = np.broadcast_arrays(self.found, wanted, terms)
        except ValueError:
            return np.full(wanted.shape or (1,), np.inf)
        return np.atleast_1d(roundings(found, whole, sizes)) / self.folds

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
        said = (
            f"{int(wrong.sum())} of {wrong.size} values of {self.what} differ, the first at {at} "
            f"is {laid[place]:.9g}, expected {expected[place]:.9g}"
        )
        return f"{said} ({self.note})" if self.note else said


@dataclass(frozen=True, eq=False)
class Settled:
    """A weight that was not found, and what its layer does.

    Attributes:
        held: what stands in its place.
        error: how far the layer is from what it should give; None where it cannot be seen.
        unseen: elements that the error does not show.
    """

    held: Held
    error: LayerError | None
    unseen: int = 0

    @property
    def is_right(self) -> bool:
        """Whether the layer does what it should."""
        return self.error is not None and not self.error.at_fault

    @property
    def is_wrong(self) -> bool:
        """Whether it does something else with what stands in the weight's place."""
        return self.error is not None and self.error.at_fault and bool(self.held.found.size)


def weights(
    about: About,
    spec: Spec,
    held: Sequence[Held],
    settled: Sequence[Settled] = (),
) -> list[Measurement]:
    """Every weight of the spec is in the file, found there or seen in what its layer does.

    Args:
        about: what is measured.
        spec: the model.
        held: the weights that were found.
        settled: those that were not.
    """
    measured = compared(about, spec, [*held, *(s.held for s in settled if s.is_wrong)])
    if any(each.error is not None for each in settled):
        measured.append(_behaving(about, settled))
    return [*measured, *_seen(about, spec, held, settled)]


def compared(
    about: About,
    spec: Spec,
    held: Sequence[Held],
    names: tuple[Quantity, Quantity] = (WEIGHTS_EQUAL, WEIGHTS_FOLDED),
) -> list[Measurement]:
    """Weights that were found: as they are bit by bit, folded ones within rounding.

    Args:
        about: what is measured.
        spec: the model.
        held: the weights.
        names: what is measured of weights as they are, and of folded ones.
    """
    rank = {layer.name: index for index, layer in enumerate(spec.layers)}
    groups = {exact: [h for h in held if h.exact is exact] for exact in (True, False)}
    wrong = {
        exact: sorted((h for h in found if h.differing().any()), key=lambda h: rank[h.layer])
        for exact, found in groups.items()
    }
    measured = []
    if groups[True]:
        value, count = len(wrong[True]), len(groups[True])
        measured.append(_measured(about, names[0], value, wrong[True], count))
    if groups[False]:
        far = max(float(h.distances().max()) for h in groups[False])
        measured.append(_measured(about, names[1], far, wrong[False], len(groups[False])))
    return measured


def _behaving(about: About, settled: Sequence[Settled]) -> Measurement:
    """What layers do whose weights are stored in a form that no rule knows."""
    errors = [each.error for each in settled if each.error is not None]
    faulty = [error for error in errors if error.at_fault]
    worst = faulty[0] if faulty else max(errors, key=lambda error: error.pooled)
    names = ", ".join(dict.fromkeys(error.layer for error in (faulty or errors)))
    return about.measure(
        WEIGHTS_BEHAVE,
        worst.pooled,
        "" if faulty else f"stored in a form that no rule knows: {names}",
        verdict=Verdict.FAIL if faulty else None,
        layer=worst.layer,
        n=len(settled),
    )


def _seen(
    about: About, spec: Spec, held: Sequence[Held], settled: Sequence[Settled]
) -> list[Measurement]:
    """The share of the model's weights that were compared, and how."""
    exactly, by_rule = ([a for h in held if h.exact is e for a in h.covers] for e in (True, False))
    right = [s for s in settled if s.is_right]
    behaving = [array for s in right for array in s.held.covers]
    unseen = sum(s.unseen for s in right)
    return weights_seen(about, WEIGHTS_SEEN, spec, exactly, by_rule, behaving, unseen)


MULTIPLIED = (*KERNELS, "gamma", "moving_variance")
"""Roles of weights of which each folded element is a product: a share off is as much off there."""


def element_by_element(spec: Spec, held: Sequence[Held]) -> set[int]:
    """`id` of the spec's weights that cannot be off by a thousandth in a file unseen.

    Args:
        spec: the model.
        held: the weights that were found.
    """
    factors = {id(a) for layer in spec.layers for r, a in layer.weights.items() if r in MULTIPLIED}
    exact = {id(array) for each in held if each.exact for array in each.covers}
    folded = {id(array) for each in held if not each.exact for array in each.covers}
    return exact - folded | folded & factors


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
    wrong = [each for each in held if each.differing().any()]
    return [_measured(about, WEIGHTS_EQUAL, len(wrong), wrong, len(held))]


def _measured(
    about: About, what: Quantity, value: float, wrong: Sequence[Held], n: int
) -> Measurement:
    return about.measure(
        what,
        value,
        "; ".join(filter(None, _first(wrong))),
        layer=wrong[0].layer if wrong else None,
        n=n,
        rows=tuple(_row(h) for h in wrong[:LARGEST]),
    )


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
