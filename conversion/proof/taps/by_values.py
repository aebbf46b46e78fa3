"""Which tensor of a file is which layer's output, found by the values alone.

The spec is walked from its inputs. Each layer's output is computed in float64 from what the file
has in the place of the layer's inputs, and searched among the file's tensors. So a layer behind an
error is found as well as any other, and the layer that is nowhere is the one at fault: it was
folded into what follows, which is then found, or it is wrong, which `suspects` finds out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.taps import intruders, suspects
from conversion.proof.taps.candidates import Candidates, Fit, apart
from conversion.proof.taps.matches import EQUAL, Known, Match
from conversion.proof.taps.moving import moves
from conversion.proof.taps.network import Network

ROUNDED = 1e-4
"""Part of a layer's spread by which a float tensor may differ and still be taken for the layer's
without a doubt; rounding gives 1e-6, another layer's output about 1."""

EIGHT_BITS = 0.1
"""The same of tensors of eight bits: 20 dB, which a layer's own quantization noise stays below."""

RECOGNISED = 0.5
"""A tensor that is further away is not recognised by its values alone."""

ALMOST = 0.05
"""A tensor that is no further away is the layer's, wrong as it may be."""

AHEAD = 8
"""Layers that are tried ahead, to see what explains that one is nowhere."""


def match(
    spec: Spec,
    exact: Mapping[str, np.ndarray],
    network: Network,
    values: Mapping[str, np.ndarray],
    rounded: float = ROUNDED,
) -> dict[str, Match]:
    """Find every layer of a spec in a network.

    Args:
        spec: the model.
        exact: layer name to its output on a few images, ``(N, ...)``, from the float64 truth.
        network: a file's network, which should be the same.
        values: tensor to its values on the same images, ``(N, ...)`` real numbers.
        rounded: the error that rounding explains, as a part of a layer's spread.

    Returns:
        Layer name to where it is, in the spec's order.
    """
    search = Search(spec, exact, network, values, rounded)
    for layer in spec.layers:
        search.take(layer)
    return search.result()


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

    def take(self, layer: Layer) -> None:
        """Find the next layer."""
        self.wanted[layer.name] = wanted = self.supposed(layer.name, self.known)
        fit = self._input(layer) if not layer.inputs else self.fit(layer, wanted, self.known)
        if fit is not None and self.is_sure(fit) and self._owns(layer, fit):
            self.place(layer, fit)
        else:
            self._look_ahead(layer, fit)

    def _look_ahead(self, layer: Layer, fit: Fit | None) -> None:
        """Decide on a layer that is nowhere by what follows: it is fused with that, or wrong."""
        later = suspects.following(self, self.known.copy(), layer.name, enough=2)
        if suspects.is_plain(self, layer.name, later):
            missing = suspects.left_out(self, layer, later)
            if missing is not None:
                self.place(layer, missing)
            return
        later = suspects.following(self, self.known.copy(), layer.name)
        changed = intruders.changed(self, layer, len(later))
        if changed is not None and changed.count > suspects.ENOUGH:
            intruders.place(self, layer, changed)
            return
        recognised = fit if fit is not None and self._owns(layer, fit) else None
        sure = layer.name in self.ends or (recognised is not None and recognised.error <= ALMOST)
        found = (
            None
            if sure
            else suspects.wrong(self, layer, changed.count if changed else len(later) + 1)
        )
        if found is None and changed is not None:
            intruders.place(self, layer, changed)
            return
        if found is None and recognised is not None:
            found = recognised if sure or (not later and recognised.error <= RECOGNISED) else None
        if found is not None:
            self.place(layer, found)
            self._say_if_followed(layer)

    def _say_if_followed(self, layer: Layer) -> None:
        """Note that what an output should be is there, but is not what the file gives."""
        if layer.name in self.ends:
            inside = self.candidates.fits(self.wanted[layer.name])
            if inside and self.is_sure(inside[0]):
                self.notes[layer.name] = self.followed(self.ends[layer.name])

    def followed(self, tensor: str) -> str:
        """What to say of a layer whose tensor is changed before it is read."""
        return f"followed by an operation of no layer ({self.network.kind(tensor)})"

    def without(self, layer: Layer) -> Known:
        """What is known but for one layer."""
        known = self.known.copy()
        del known.values[layer.name]
        known.other.discard(layer.name)
        return known

    def is_sure(self, fit: Fit) -> bool:
        """Whether a tensor is a layer's without a doubt."""
        return fit.error <= self.rounded

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
        """What a layer gives for known values of others, in float64 where they are not the truth's.

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
        found = self._fits(layer.name, wanted)
        if behind:
            found = [f for f in found if f.tensor != behind and self._below(f.tensor, (behind,))]
        if not found:
            return None
        least = max(1.5 * min(fit.error for fit in found), EQUAL)
        equal = [fit for fit in found if fit.error <= least]
        sources = self.sources(layer, known)
        roots = {self.network.root(name) for name in sources}
        only_moves = moves(layer)

        def order(fit: Fit) -> tuple[bool, bool, int]:
            stays = self.network.root(fit.tensor) in roots
            below = self._below(fit.tensor, sources)
            return (not below, stays != only_moves, self.network.position[fit.tensor])

        return min(equal, key=order)

    def _fits(self, name: str, wanted: np.ndarray) -> list[Fit]:
        """The tensors that are closest to a layer, which may be asked for more than once."""
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

    def _input(self, layer: Layer) -> Fit | None:
        index = self.spec.inputs.index(layer.name)
        if index >= len(self.network.inputs):
            return None
        name = self.network.inputs[index]
        fits = self.candidates.orders(self.exact[layer.name], name)
        return min(fits, key=lambda fit: fit.error, default=None)

    def _owns(self, layer: Layer, fit: Fit) -> bool:
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
            if fit.error > max(self.rounded, 2 * best.error) or not self._owns(layer, fit):
                break
            best = fit
        return best

    def result(self) -> dict[str, Match]:
        """Where every layer is, once all were taken."""
        groups: dict[str, list[str]] = {}
        ends = {layer.name: self._end(layer.name) for layer in self.spec.layers}
        for name, end in ends.items():
            groups.setdefault(end or name, []).append(name)
        return {name: self._match(name, end, groups[end or name]) for name, end in ends.items()}

    def _end(self, name: str) -> str:
        """The layer at which one is seen: itself, or the first that follows and was found."""
        while name and name not in self.known.fits:
            name = next(iter(self.after[name]), "")
        return name

    def _match(self, name: str, end: str, group: Collection[str]) -> Match:
        fit, shape = self.known.fits.get(name), self.exact[name].shape[1:]
        if fit is None:
            note = f"folded or fused into {end}" if end else "not found in the file"
            return Match(name, "", None, shape, np.inf, tuple(group), note)
        wanted = self.wanted[name]
        found = self.candidates.read(fit, shape)
        error = apart(wanted, found)
        note = self.notes.get(name, "")
        return Match(name, fit.tensor, fit.reading, shape, error, tuple(group), note)
