"""Operations that belong to no layer and change what a layer reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conversion.core.spec import Layer
from conversion.proof.taps.candidates import Fit, apart
from conversion.proof.taps.matches import EQUAL
from conversion.proof.taps.moving import moves
from conversion.proof.taps.searching import Search
from conversion.proof.taps.suspects import ENOUGH, STEPS, following

NO_NUMBERS = 1e12
"""Errors of values that are no numbers are larger; what is computed from such tells nothing."""


@dataclass(frozen=True)
class Changed:
    """Something that changes what a layer reads, behind the layer that gives it.

    Attributes:
        source: the layer that gives it.
        other: the tensor that is read in its place.
        own: that of the layer that reads it.
        count: layers that are where they should be if it is so.
    """

    source: str
    other: Fit
    own: Fit
    count: int


def changed(search: Search, layer: Layer, least: int) -> Changed | None:
    """Whether something changes what a layer reads, behind the layer that gives it.

    Args:
        search: what was found so far.
        layer: one that is nowhere.
        least: more layers must then be where they should be, this one among them.

    Returns:
        What explains most, the nearest first; None where the layer is not right for any tensor.
    """
    best: Changed | None = None
    least = max(least, bool(search.downstream(layer.name)))
    for name in dict.fromkeys(layer.inputs):
        if name not in search.known.fits:
            continue
        value, held = search.known.values[name], search.known.fits[name].tensor
        for tensor in (held, *search.network.near(held, STEPS)):
            for fit in search.candidates.orders(value, tensor):
                if fit.reading.axes or not search.rounded < fit.error < NO_NUMBERS:
                    continue  # what exchanges axes is an operation, and its tensor read as it is
                found = search.candidates.read(fit, value.shape[1:])
                right = following(search, search.without(layer), name, fit, found, layer.name)
                if layer.name in right and len(right) > (best.count if best else least):
                    best = Changed(name, fit, right[layer.name], len(right))
                if best is not None and best.count > ENOUGH:
                    return best
    return best


def place(search: Search, layer: Layer, changed: Changed, take: Callable[[Layer], None]) -> None:
    """Place a layer whose values are changed before another one reads them, and that one.

    Args:
        search: what was found so far.
        layer: the one that reads them.
        changed: what changes them.
        take: finds a layer again.
    """
    source = _giving(search, changed)
    search.notes[source] = search.followed(changed.other.tensor)
    names = list(search.layers)
    between = [
        name
        for name in search.downstream(source)
        if names.index(name) <= names.index(changed.source)
    ]
    search.place(search.layers[source], _as(search, source, changed), passing=False)
    for name in (*between, layer.name):
        del search.known.values[name]
        search.known.fits.pop(name, None)
        search.known.other.discard(name)
    for name in between:
        take(search.layers[name])
    search.wanted[layer.name] = search.supposed(layer.name, search.known)
    search.place(layer, changed.own)


def _giving(search: Search, changed: Changed) -> str:
    """The layer that computes what is changed: not one that only moves it, if it can be."""
    name = changed.source
    computed = search.network.root(changed.other.tensor)
    while moves(search.layers[name]):
        before = search.layers[name].inputs[0]
        held = search.known.fits.get(before)
        alone = search.after[before] == [name]
        if held is None or not alone or search.network.root(held.tensor) == computed:
            break
        name = before
    return name


def _as(search: Search, source: str, changed: Changed) -> Fit:
    """The changed tensor as the layer that computes it gives it."""
    if source == changed.source:
        return changed.other
    wanted = search.candidates.read(changed.other, search.exact[changed.source].shape[1:])
    shape = search.exact[source].shape[1:]
    fits = search.candidates.orders(search.known.values[source], changed.other.tensor)
    for fit in fits:
        known = search.known.copy()
        for name in list(known.values):
            if _follows(search, name, source):
                del known.values[name]
        known.put(source, search.candidates.read(fit, shape), fit, search.exact[source])
        if apart(wanted, search.supposed(changed.source, known)) <= EQUAL:
            return fit
    return fits[0]


def _follows(search: Search, name: str, source: str) -> bool:
    inputs = search.layers[name].inputs
    return (
        bool(inputs)
        and moves(search.layers[name])
        and (source in inputs or _follows(search, inputs[0], source))
    )
