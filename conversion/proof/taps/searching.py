"""What is known while the layers of a spec are looked for in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.taps.candidates import Candidates, Fit, spread_of
from conversion.proof.taps.matches import EQUAL, Known
from conversion.proof.taps.moving import moves
from conversion.proof.taps.network import Network

AHEAD = 8
"""Layers that are tried ahead, to see what explains that one is nowhere."""

OWN_STEPS = 1.0
"""Steps of its integers, rms, up to which a tensor's own rounding explains an error. Convolutions
measure 0.3 to 0.6, the rounding of kernels included; layers of several operators up to 4."""


COARSE_ERROR, COARSE_STEPS = 0.7, 0.5
"""Part of a layer's spread, and of a step, rms, by which a tensor may be off that has steps as
coarse as the layer itself. Rounding alone leaves 0.29 of a step; another tensor is off by 1.4
spreads, and one that is 0 by 1."""


def as_good_as(error: float) -> float:
    """The error up to which another tensor fits a layer as well.

    Args:
        error: of the one that fits best.
    """
    return max(1.5 * error, EQUAL)


class Search:
    """A spec and a network side by side, and what has been found so far."""

    def __init__(
        self,
        spec: Spec,
        exact: Mapping[str, np.ndarray],
        network: Network,
        values: Mapping[str, np.ndarray],
        rounded: float,
    ) -> None:
        self.spec, self.network, self.rounded = spec, network, rounded
        self.exact = exact
        self.layers = {layer.name: layer for layer in spec.layers}
        ordered = {each.name: values[each.name] for each in network.tensors if each.name in values}
        self.values = ordered
        self.candidates = Candidates(ordered, {a.shape[1:] for a in exact.values()})
        self.known = Known({}, {}, set())
        self.after: dict[str, list[str]] = {name: [] for name in self.layers}
        for layer in spec.layers:
            for name in dict.fromkeys(layer.inputs):
                self.after[name].append(layer.name)
        self.ends = dict(zip(spec.outputs, network.outputs, strict=False))
        self.wanted: dict[str, np.ndarray] = {}
        self.notes: dict[str, str] = {}
        self.known_fits: dict[str, list[Fit]] = {}

    def followed(self, tensor: str) -> str:
        """What to say of a layer whose tensor is changed before it is read."""
        return f"followed by an operation of no layer ({self.network.kind(tensor)})"

    def without(self, layer: Layer) -> Known:
        """What is known but for one layer."""
        known = self.known.copy()
        del known.values[layer.name]
        known.other.discard(layer.name)
        return known

    def is_sure(self, wanted: np.ndarray, fit: Fit) -> bool:
        """Whether a tensor is without a doubt that of a layer that should give `wanted`."""
        if fit.error <= self.rounded:
            return True
        steps, away = self._steps(fit), fit.error * spread_of(wanted)
        if steps is None or fit.error > COARSE_ERROR or away > COARSE_STEPS * steps:
            return False
        least = as_good_as(fit.error)
        alike = (f for f in self.candidates.fits(wanted) if f.error <= least)
        return len({self.network.root(each.tensor) for each in alike}) == 1

    def is_rounded(self, layer: str, fit: Fit) -> bool:
        """Whether a tensor is no further from a layer than the rounding to its own integers."""
        steps = self._steps(fit)
        away = fit.error * spread_of(self.wanted[layer])
        return steps is None or away <= OWN_STEPS * steps

    def _steps(self, fit: Fit) -> float | None:
        """The step of a tensor's own integers, or of those that it becomes."""
        tensors = (self.network.of(fit.tensor), *self.network.readers[fit.tensor])
        steps = next((each.steps for each in tensors if each.steps is not None), None)
        return None if steps is None else float(steps.scale)

    def place(self, layer: Layer, fit: Fit, passing: bool = True) -> None:
        """Take a tensor for a layer's output, as all that read it have it.

        Args:
            layer: any.
            fit: the tensor.
            passing: whether what only moves or rounds its elements is passed.
        """
        exact = self.exact[layer.name]
        moved = self._moved(layer, fit) if passing else fit
        value = self.candidates.read(moved, exact.shape[1:])
        self.known.put(layer.name, value, moved, exact)

    def supposed(self, name: str, known: Known) -> np.ndarray:
        """What a layer gives for known values of others, computed in float64, kept as the truth is.

        Raises:
            ValueError: those values do not fit the layer.
        """
        if name in known.values:
            return known.values[name]
        inputs = [self.supposed(each, known) for each in self.layers[name].inputs]
        if not any(each in known.other for each in self.layers[name].inputs):
            value = self.exact[name]
        else:
            with np.errstate(all="ignore"):
                value = truth.evaluate_layer(self.spec, self.layers[name], inputs)
                value = value.astype(self.exact[name].dtype, copy=False)
            known.other.add(name)
        known.values[name] = value
        return value

    def fit(self, layer: Layer, wanted: np.ndarray, known: Known, behind: str = "") -> Fit | None:
        """The tensor that is closest to what a layer should give.

        Of several that are equally close the one that comes right after the layer's inputs.

        Args:
            layer: any.
            wanted: what it should give.
            known: its inputs.
            behind: only what is computed from this tensor; empty for any.
        """
        found = self.fits(layer.name, wanted)
        if behind:
            found = [f for f in found if f.tensor != behind and self._below(f.tensor, (behind,))]
        if not found:
            return None
        least = as_good_as(min(fit.error for fit in found))
        equal = [fit for fit in found if fit.error <= least]
        sources = self.sources(layer, known)
        roots = {self.network.root(name) for name in sources}
        only_moves = moves(layer)

        def order(fit: Fit) -> tuple[bool, bool, int]:
            stays = self.network.root(fit.tensor) in roots
            below = self._below(fit.tensor, sources)
            return (not below, stays != only_moves, self.network.position[fit.tensor])

        return min(equal, key=order)

    def fits(self, name: str, wanted: np.ndarray) -> list[Fit]:
        """The tensors that are closest to a layer, which may be asked for more than once.

        Args:
            name: the layer.
            wanted: what it should give; of the truth's it is looked up once.
        """
        exact = wanted is self.exact[name]
        if exact and name in self.known_fits:
            return self.known_fits[name]
        among = None if name not in self.ends else {self.ends[name]}
        found = self.candidates.fits(wanted, among)
        if exact:
            self.known_fits[name] = found
        return found

    def sources(self, layer: Layer, known: Known) -> list[str]:
        """The tensors that a layer is computed from: its inputs', or what those come from."""
        found: dict[str, None] = {}
        for name in layer.inputs:
            if name in known.fits:
                found[known.fits[name].tensor] = None
            else:
                found |= dict.fromkeys(self.sources(self.layers[name], known))
        return list(found)

    def _below(self, tensor: str, sources: Sequence[str]) -> bool:
        return all(self.network.descends(tensor, self.network.root(each)) for each in sources)

    def input(self, layer: Layer) -> Fit | None:
        """The network's input that is a layer's, in the order that fits best."""
        index = self.spec.inputs.index(layer.name)
        if index >= len(self.network.inputs):
            return None
        name = self.network.inputs[index]
        fits = self.candidates.orders(self.exact[layer.name], name)
        return min(fits, key=lambda fit: fit.error, default=None)

    def owns(self, layer: Layer, fit: Fit) -> bool:
        """Whether no layer that follows alone fits the tensor clearly better: it is that one's."""
        if fit.error <= EQUAL or layer.name in self.ends:
            return True
        supposed, name = self.known.copy(), layer.name
        for _ in range(AHEAD):
            if len(self.after[name]) != 1 or len(self.layers[self.after[name][0]].inputs) != 1:
                return True
            (name,) = self.after[name]
            wanted = self.supposed(name, supposed)
            errors = [each.error for each in self.candidates.orders(wanted, fit.tensor)]
            if not errors:
                return True
            if min(errors) < fit.error / 2:
                return False
        return True

    def downstream(self, name: str) -> list[str]:
        """The next layers that depend on one, in the spec's order."""
        reached, found = {name}, list[str]()
        names = list(self.layers)
        for each in names[names.index(name) + 1 :]:
            if reached.intersection(self.layers[each].inputs):
                reached.add(each)
                found.append(each)
            if len(found) == AHEAD:
                break
        return found

    def _moved(self, layer: Layer, fit: Fit) -> Fit:
        """The tensor as all that read it have it, cast, rounded and turned."""
        wanted = self.wanted.get(layer.name, self.exact[layer.name])
        best = fit
        while layer.name not in self.ends:
            readers = self.network.readers[fit.tensor]
            if len(readers) != 1 or not readers[0].moves or len(readers[0].reads) != 1:
                break
            following = self.candidates.orders(wanted, readers[0].name)
            if not following:
                break
            fit = min(following, key=lambda each: each.error)
            rounds = readers[0].steps is not None and self.network.of(best.tensor).steps is None
            # Unless it rounds, what moves keeps every element: more is another order of them.
            most = max(self.rounded, 2 * best.error) if rounds else best.error + EQUAL
            if fit.error > most or not self.owns(layer, fit):
                break
            best = fit
        return best
