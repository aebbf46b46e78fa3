"""A kernel of a spec beside an array of a file, and the ways in which that may be it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.metrics import folding, layouts
from conversion.proof.metrics.folding import Affine, along
from conversion.proof.metrics.weights import Held
from conversion.proof.taps import arithmetic
from conversion.proof.taps.foldings import Folding, ahead, behind
from conversion.proof.taps.network import Computed, Constant, Network
from conversion.proof.taps.readings import sampled

ALIKE = 16.0
"""Roundings of float32 up to which two numbers may be the same, in looking for a weight."""


@dataclass(frozen=True, eq=False)
class Use:
    """A stored array and the operator that reads it."""

    constant: Constant
    by: Computed


@dataclass(frozen=True, eq=False)
class Fit:
    """A way in which a stored array is a kernel.

    Attributes:
        before: what is folded into it from before its layer, and what the file still does there.
        after: what is folded into it from behind.
        read: what the file does before multiplying by it.
        found: what the file does after that.
    """

    before: Folding
    after: Folding
    read: Affine
    found: Affine

    @property
    def is_plain(self) -> bool:
        """Whether the file must have the kernel as it is."""
        plain = self.before.is_plain and self.after.is_plain
        return plain and all(np.all(each.factor == 1) for each in (self.read, self.found))

    @property
    def folds(self) -> int:
        """How many layers are folded into it, itself counted where there is none."""
        return max(len(self.before.layers) + len(self.after.layers), 1)

    def matches(self, sample: Sample) -> bool:
        """Whether most elements of a sample are the kernel's."""
        given, done = (_at(a.factor, sample.read) for a in (self.before.affine, self.read))
        after, found = (_at(a.factor, sample.given) for a in (self.after.affine, self.found))
        wanted = sample.wanted * given * after
        return mostly(sample.found * done * found, wanted, np.abs(wanted))

    def offset(self, kernel: np.ndarray, bias: np.ndarray) -> Affine:
        """What is added in the end, with the terms that it is made of."""
        shift, own = self._shift(), folding.identity(bias)
        if np.any(shift):
            whole = kernel.astype(np.float64)
            axes = tuple(range(kernel.ndim - 1))
            moved = (whole * along(shift, kernel.ndim, kernel.ndim - 2)).sum(axis=axes)
            terms = np.abs(whole * along(shift, kernel.ndim, kernel.ndim - 2)).sum(axis=axes)
            own = Affine(own.factor, own.offset + moved, own.terms + terms)
        return own.then(self.after.affine)

    def _shift(self) -> np.ndarray:
        """What is added before the kernel in the model and not in the file."""
        wanted, done = self.before.affine, self.read
        found = done.offset * wanted.factor / done.factor
        terms = wanted.terms + np.abs(found)
        rest = np.asarray(wanted.offset - found)
        kept = folding.roundings(rest, np.zeros(()), terms) > ALIKE
        return np.where(kept, rest, 0.0)


PLAIN = Fit(Folding(), Folding(), folding.identity(), folding.identity())
"""A kernel as it is."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Elements of a kernel beside what stands in their place, and their channels."""

    wanted: np.ndarray
    found: np.ndarray
    read: np.ndarray
    given: np.ndarray


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel and the array of its size that an operator multiplies by.

    Attributes:
        wanted: ``(*space, read, given)``, as the spec has it.
        use: the array.
        order: of its axes.
        found: it, as stored.
    """

    wanted: np.ndarray
    use: Use
    order: str
    found: np.ndarray

    @staticmethod
    def of(wanted: np.ndarray, use: Use, order: str) -> Kernel | None:
        """The two together; None where the shapes do not fit."""
        if not layouts.fits(use.constant.shape, layouts.ordered(wanted, order).shape):
            return None
        found = use.constant.stored()
        return Kernel(wanted, use, order, found) if found.dtype.kind == "f" else None

    def sample(self) -> Sample:
        """Some elements of it."""
        places = sampled(self.wanted.size)
        index = np.unravel_index(places, layouts.ordered(self.wanted, self.order).shape)
        at = dict(zip(self._axes(), index, strict=True))
        wanted = layouts.ordered(self.wanted, self.order)[index].astype(np.float64)
        found = self.found.reshape(-1)[places].astype(np.float64)
        rank = self.wanted.ndim
        return Sample(wanted, found, at[rank - 2], at[rank - 1])

    def held(self, layer: str, words: str, fit: Fit) -> Held:
        """The whole of it beside what it must be."""
        if fit.is_plain:
            wanted = layouts.ordered(self.wanted, self.order).reshape(self.found.shape)
            return Held(layer, words, self.found, wanted)
        rank, whole = self.wanted.ndim, self.wanted.astype(np.float64)
        whole = whole * along(fit.before.affine.factor, rank, rank - 2)
        whole = whole * along(fit.after.affine.factor, rank, rank - 1)
        right = layouts.ordered(whole, self.order).reshape(self.found.shape)
        done = along(fit.found.factor, rank, rank - 1) * along(fit.read.factor, rank, rank - 2)
        done = layouts.ordered(np.broadcast_to(done, whole.shape), self.order)
        found = self.found * done.reshape(self.found.shape)
        return Held(layer, words, found, right, np.abs(right), folds=fit.folds)

    def _axes(self) -> list[int]:
        """The axes of the kernel as the spec has it, in the stored order."""
        rank = self.wanted.ndim
        named = {"S": list(range(rank - 2)), "I": [rank - 2], "O": [rank - 1]}
        return [axis for letter in self.order for axis in named[letter]]


def arranged(wanted: np.ndarray, use: Use) -> list[Kernel]:
    """A kernel beside an array, in every order in which its operator may hold it."""
    found = (Kernel.of(wanted, use, order) for order in layouts.orders(use.by.kind))
    return [each for each in found if each is not None]


def fits(
    spec: Spec,
    network: Network,
    following: Mapping[str, list[Layer]],
    layer: Layer,
    kernel: Kernel,
    last: bool,
) -> Iterator[Fit]:
    """The ways in which a stored array is a kernel, the plainest first.

    Args:
        spec: the model.
        network: the file's.
        following: what `readers` gives.
        layer: the one with the kernel.
        kernel: it, beside the array.
        last: whether it is the last one of its layer.
    """
    steps = arithmetic.after(network, kernel.use.by.name) if last else []
    own = _bias_of(kernel.use, kernel.wanted.shape[-1]) if last else None
    first = folding.identity() if own is None else folding.identity(own)
    reads, gives = kernel.wanted.shape[-2:]
    theirs = [each for each in arithmetic.forwards(first, steps) if each.fits(gives)]
    before = [each for each in ahead(spec, layer, following) if each.affine.fits(reads)]
    afterwards = behind(spec, layer, following) if last else [Folding()]
    read = [each for each in _read(network, kernel.use.by) if each.fits(reads)]
    sample = kernel.sample()
    for after, given in product(afterwards, before):
        for done, found in product(read if given.layers else read[:1], theirs):
            fit = Fit(given, after, done, found)
            if fit.matches(sample):
                yield fit


def _read(network: Network, by: Computed) -> list[Affine]:
    """What the file may have done to what a kernel reads: nothing, one operator, two, ..."""
    before = arithmetic.before(network, by.reads[0]) if len(by.reads) == 1 else []
    steps = [step for step in map(arithmetic.of_operator, before) if step is not None]
    return arithmetic.backwards(steps)


def _bias_of(use: Use, size: int) -> np.ndarray | None:
    """The bias that an operator adds itself."""
    others = [
        c for c in use.by.constants if c is not use.constant and c.role in ("b", "c", "2", "3")
    ]
    fitting = [c for c in others if int(np.prod(c.shape)) in (1, size) and len(c.shape) <= 2]
    return folding.per_channel(fitting[0].real()) if fitting else None


def beside(
    layer: Layer, role: str, kernel: Kernel, fit: Fit, last: bool
) -> tuple[Held, Held | None]:
    """A kernel that was found beside what it must be, and so its bias.

    Args:
        layer: the one with the kernel.
        role: of the kernel.
        kernel: it, beside the array.
        fit: the way in which that is it.
        last: whether it is the last one of its layer, which has the bias.
    """
    bias = layer.weights.get("bias")
    folded = [each.name for each in (*fit.before.layers, *fit.after.layers)]
    words = [*folded, *filter(None, (fit.before.words, fit.after.words))]
    name = fit.after.layers[-1].name if fit.after.layers else layer.name
    what = layer.name + (f" with {' and '.join(words)} folded in" if words else "")
    kind = "the depthwise kernel" if role == "depthwise_kernel" else "the kernel"
    held = kernel.held(name, f"{kind} of {what}", fit)
    held = replace(held, covers=(layer.weights[role], *fit.before.arrays, *fit.after.arrays))
    if not last:
        return held, None
    covers = () if bias is None else (bias,)
    plain = np.zeros(kernel.wanted.shape[-1], np.float32) if bias is None else bias
    offset, said = fit.offset(kernel.wanted, plain), f"the bias of {what}"
    found = np.broadcast_to(fit.found.offset, plain.shape)
    if fit.is_plain and not fit.before.words:
        exact = found.astype(np.float32)
        if np.array_equal(exact.astype(np.float64), found):
            return held, Held(name, said, exact, plain, None, covers)
    terms = offset.terms + np.abs(found)
    return held, Held(name, said, found, offset.offset, terms, covers, folds=fit.folds)


def _at(value: np.ndarray, index: np.ndarray) -> np.ndarray:
    return value[index] if value.ndim else value


def mostly(found: np.ndarray, wanted: np.ndarray, terms: np.ndarray) -> bool:
    """Whether most numbers are those that are wanted, but for rounding; zeros tell nothing."""
    telling = (found != 0) | (wanted != 0)
    away = folding.roundings(found[telling], wanted[telling], terms[telling])
    return not away.size or bool(np.mean(away <= ALIKE) > 0.5)
