"""Where a float file holds the weights of a spec, found by what they are, then by where they stand.

A stored array is a weight's if most of its elements are the weight's, in an order that the operator
which reads it may have, with whatever a converter folds into it. What is nowhere is compared with
what stands in its place, and left to the behaviour of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from conversion.core.spec import KERNELS, Layer, Spec
from conversion.proof.metrics import folding, layouts
from conversion.proof.metrics.folding import Affine
from conversion.proof.metrics.weights import Held
from conversion.proof.taps import arithmetic
from conversion.proof.taps.foldings import is_affine, readers
from conversion.proof.taps.kernel_fits import PLAIN, Fit, Kernel, Use, arranged, beside, fits
from conversion.proof.taps.matches import Match, sources, tensors_of
from conversion.proof.taps.network import Computed, Network

Paired = TypeVar("Paired")

FEW = 8
"""Arrays of no more elements are looked for only where they should stand."""


@dataclass(frozen=True, eq=False)
class Located:
    """What a file holds of the weights of a spec.

    Attributes:
        held: every weight that was found, in the spec's order.
        placed: what stands in the place of weights that were not found, of shapes that fit.
        missing: layers of which a weight was not found and nothing stands in its place.
    """

    held: list[Held]
    placed: list[Held]
    missing: list[str]


def locate(spec: Spec, network: Network, matches: Mapping[str, Match] | None = None) -> Located:
    """Find the weights of a spec in a file.

    Args:
        spec: the model.
        network: a float file's network.
        matches: where the layers are, by their values; None where that is not known.
    """
    return _Locating(spec, network, matches or {}).all()


class _Locating:
    def __init__(self, spec: Spec, network: Network, matches: Mapping[str, Match]) -> None:
        self.spec, self.network, self.matches = spec, network, matches
        self.following = readers(spec)
        self.uses: dict[int, list[Use]] = {}
        for each in network.tensors:
            for constant in each.constants:
                size = int(np.prod(constant.shape))
                self.uses.setdefault(size, []).append(Use(constant, each))
        self.done = set[str]()  # layers of constants that are folded into something found
        self.found = Located([], [], [])
        self.segments: dict[str, frozenset[str]] = {}

    def all(self) -> Located:
        for layer in self.spec.layers:
            for role in (role for role in KERNELS if role in layer.weights):
                self._kernel(layer, role)
        for layer in self.spec.layers:
            if is_affine(layer):
                if layer.name not in self.done:
                    self._affine(layer)
            else:
                for role in layer.weights:
                    if role not in KERNELS and (role != "bias" or not _has_kernel(layer)):
                        self._plain(layer, role)
        rank = {layer.name: index for index, layer in enumerate(self.spec.layers)}
        for each in (self.found.held, self.found.placed):
            each.sort(key=lambda held: rank[held.layer])
        missing = sorted(dict.fromkeys(self.found.missing), key=rank.__getitem__)
        return replace(self.found, missing=missing)

    def _segment(self, name: str) -> frozenset[str]:
        """Tensors that are computed between what a layer reads and where it is seen."""
        match = self.matches.get(name)
        if match is None or not match.group:
            return frozenset()
        end = match.group[-1]
        if end not in self.segments:
            last = self.matches[end].tensor
            given = {*map(self.network.root, sources(self.spec, self.matches, match.group))}
            inner = self.network.between(given, last) if last and given else []
            self.segments[end] = frozenset(each.name for each in inner)
        return self.segments[end]

    def _likely(
        self, wanted: np.ndarray, name: str, paired: Callable[[Use], Iterable[Paired]]
    ) -> list[Paired]:
        """A weight beside arrays that may be it: those that stand in its place, else all others."""
        inside, uses = self._segment(name), self.uses.get(wanted.size, [])
        own = [each for use in uses if use.by.name in inside for each in paired(use)]
        if own or (inside and wanted.size <= FEW):
            return own
        return [each for use in uses for each in paired(use)]

    # kernels and what goes with them

    def _kernel(self, layer: Layer, role: str) -> None:
        """Find a kernel and, of the last one of a layer, its bias and what is folded into both."""
        wanted = layouts.kernel(layer, role)
        last = role == _last_kernel(layer)
        pairs = self._likely(wanted, layer.name, lambda use: arranged(wanted, use))
        best: tuple[Fit, Held, Held | None] | None = None
        for kernel in pairs:
            for fit in fits(self.spec, self.network, self.following, layer, kernel, last):
                held, bias = beside(layer, role, kernel, fit, last)
                if bias is None or bias.mostly:
                    self._accept(fit, held, bias)
                    return
                best = best or (fit, held, bias)
        if best is not None:
            self._accept(*best)
        elif pairs and pairs[0].use.by.name in self._segment(layer.name):
            self._in_place(layer, role, pairs[0])
        else:
            self.found.missing.append(layer.name)

    def _accept(self, fit: Fit, held: Held, bias: Held | None) -> None:
        self.done |= {each.name for each in (*fit.before.layers, *fit.after.layers)}
        self.found.held.append(held)
        if bias is not None:
            (self.found.held if bias.mostly else self.found.placed).append(bias)

    def _in_place(self, layer: Layer, role: str, kernel: Kernel) -> None:
        """Compare a kernel that is nowhere with the one that stands in its place."""
        held = kernel.held(layer.name, f"the kernel of {layer.name}", PLAIN)
        others = (each for each in self.spec.layers if each is not layer and role in each.weights)
        note = ""
        for other in (
            each for each in others if each.weights[role].shape == layer.weights[role].shape
        ):
            another = replace(kernel, wanted=layouts.kernel(other, role))
            if PLAIN.matches(another.sample()):
                note = f"it is that of {other.name}"
        self.found.placed.append(replace(held, note=note, covers=(layer.weights[role],)))

    # everything else

    def _affine(self, layer: Layer) -> None:
        """Find the constants of layers that add and multiply in steps of their own."""
        run = self._run(layer)
        self.done |= {each.name for each in run}
        match, last = self.matches.get(run[-1].name), run[-1]
        end = "" if match is None else self.matches[match.group[-1]].tensor
        if not end:
            self.found.missing.extend(each.name for each in run)
            return
        given = set(map(self.network.root, tensors_of(self.spec, self.matches, layer.inputs)))
        steps = arithmetic.before(self.network, end, given)
        norms = [each for each in steps if each.kind == "batchnormalization"]
        if len(norms) == 1 and [each.kind for each in run] == ["BatchNormalization"]:
            self.found.held.extend(_statistics(layer, norms[0]))
            return
        wanted = arithmetic.backwards([folding.affine(each) for each in run])[-1]
        done = [step for step in map(arithmetic.of_operator, steps) if step is not None]
        covers = tuple(array for each in run for array in each.weights.values())
        pairs = [
            _pair(last, each, wanted, covers, len(run))
            for each in reversed(arithmetic.backwards(done)[1:])
        ]
        if not pairs:
            self.found.missing.extend(each.name for each in run)
            return
        right = next((each for each in pairs if all(held.mostly for held in each)), None)
        self.found.held.extend(right or ())
        self.found.placed.extend([] if right else pairs[0])

    def _run(self, layer: Layer) -> list[Layer]:
        """A layer and those that add and multiply with it in one step."""
        match = self.matches.get(layer.name)
        group = (layer.name,) if match is None else match.group
        run = [layer]
        for name in group[group.index(layer.name) + 1 :]:
            each = self.spec.layer(name)
            if not is_affine(each) or each.inputs != (run[-1].name,):
                break
            run.append(each)
        return run

    def _plain(self, layer: Layer, role: str) -> None:
        """Find a weight that nothing is folded into, perhaps with the other sign."""
        wanted, words = layer.weights[role], f"the {role} of {layer.name}"
        inside = self._segment(layer.name)
        first: Held | None = None

        def turned(use: Use) -> Iterator[tuple[Use, np.ndarray]]:
            for each in layouts.turned(wanted):
                if layouts.fits(use.constant.shape, each.shape):
                    yield use, each.reshape(use.constant.shape)

        for use, laid in self._likely(wanted, layer.name, turned):
            value = use.constant.stored()
            # Slopes that are all 0 are there with either sign; the one that is there is taken.
            signs = (Held(layer.name, words, value, s, None, (wanted,)) for s in (laid, -laid))
            held = min(signs, key=lambda each: int(each.differing().sum()))
            if held.mostly:
                self.found.held.append(held)
                return
            if first is None and use.by.name in inside:
                first = Held(layer.name, words, value, laid, None, (wanted,))
        if first is not None:
            self.found.placed.append(first)
        else:
            self.found.missing.append(layer.name)


def _has_kernel(layer: Layer) -> bool:
    return any(role in layer.weights for role in KERNELS)


def _last_kernel(layer: Layer) -> str:
    return [role for role in KERNELS if role in layer.weights][-1]


def _statistics(layer: Layer, norm: Computed) -> Iterator[Held]:
    """An operator for batch normalization, which keeps the four statistics as they are."""
    held = {constant.role: constant.stored() for constant in norm.constants}
    names = ("mean", "variance", "gamma", "beta")
    wanted = folding.statistics(layer, np.float32)
    for name, role, right in zip(names, arithmetic.STATISTICS, wanted, strict=True):
        words = f"the {name} of {layer.name}"
        yield Held(layer.name, words, held[role], right, None, tuple(layer.weights.values()))
    eps = np.float32(layer.config["epsilon"]).reshape(1)
    yield Held(layer.name, f"the epsilon of {layer.name}", held["epsilon"].reshape(1), eps)


def _pair(
    layer: Layer, found: Affine, wanted: Affine, covers: tuple[np.ndarray, ...], folds: int
) -> tuple[Held, Held]:
    """Factor and offset of a file beside those of a layer, or of several that end with it."""
    name = layer.name
    first = f"the factor of {name}", found.factor, wanted.factor, np.abs(wanted.factor)
    second = f"the offset of {name}", found.offset, wanted.offset, wanted.terms
    return (
        Held(name, *first, covers, folds=folds),
        Held(name, *second, covers, folds=folds),
    )
