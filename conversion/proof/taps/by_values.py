"""Which tensor of a file is which layer's output, found by the values alone.

The spec is walked from its inputs. Each layer's output is computed in float64 from what the file
has in the place of the layer's inputs, and searched among the file's tensors. So a layer behind an
error is found as well as any other, and the layer that is nowhere is the one at fault: it was
folded into what follows, which is then found, or it is wrong, which `suspects` finds out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.taps import intruders, suspects
from conversion.proof.taps.candidates import Fit, apart
from conversion.proof.taps.matches import Match
from conversion.proof.taps.moving import moves
from conversion.proof.taps.network import Network
from conversion.proof.taps.searching import Search, as_good_as

ROUNDED = 1e-4
"""Part of a layer's spread by which a float tensor may differ and still be taken for the layer's
without a doubt; rounding gives 1e-6, another layer's output about 1."""

EIGHT_BITS = 0.2
"""The same of tensors of eight bits: 14 dB. Layers of several rounded steps come to 18 dB."""

RECOGNISED = 0.5
"""A tensor that is further away is not recognised by its values alone."""

ALMOST = 0.05
"""A tensor that is no further away is the layer's, wrong as it may be."""


FLOORS = ("relu", "clip", "clamp", "clamp_min", "max", "maximum")
"""Operators that may be a ReLU."""


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
        _take(search, layer)
    return _result(search)


def _take(search: Search, layer: Layer) -> None:
    """Find the next layer."""
    search.wanted[layer.name] = wanted = search.supposed(layer.name, search.known)
    fit = search.input(layer) if not layer.inputs else search.fit(layer, wanted, search.known)
    if fit is not None and search.is_sure(wanted, fit) and search.owns(layer, fit):
        if search.is_rounded(layer.name, fit) or not suspects.is_fused(search, layer, fit):
            search.place(layer, fit)
    else:
        _look_ahead(search, layer, fit)


def _look_ahead(search: Search, layer: Layer, fit: Fit | None) -> None:
    """Decide on a layer that is nowhere by what follows: it is fused with that, or wrong."""
    later = suspects.following(search, search.known.copy(), layer.name, enough=2)
    if suspects.is_plain(search, layer.name, later):
        missing = suspects.left_out(search, layer, later)
        if missing is not None:
            search.place(layer, missing)
        return
    later = suspects.following(search, search.known.copy(), layer.name)
    changed = intruders.changed(search, layer, len(later))
    if changed is not None and changed.count > suspects.ENOUGH:
        intruders.place(search, layer, changed, partial(_take, search))
        return
    recognised = fit if fit is not None and search.owns(layer, fit) else None
    sure = layer.name in search.ends or (recognised is not None and recognised.error <= ALMOST)
    found = (
        None
        if sure
        else suspects.wrong(search, layer, changed.count if changed else len(later) + 1)
    )
    if found is None and changed is not None:
        intruders.place(search, layer, changed, partial(_take, search))
        return
    if found is None and recognised is not None:
        found = recognised if sure or (not later and recognised.error <= RECOGNISED) else None
    if found is not None:
        search.place(layer, found)
        _say_if_followed(search, layer)


def _say_if_followed(search: Search, layer: Layer) -> None:
    """Note that what an output should be is there, but is not what the file gives."""
    if layer.name in search.ends:
        inside = search.candidates.fits(search.wanted[layer.name])
        if inside and search.is_sure(search.wanted[layer.name], inside[0]):
            search.notes[layer.name] = search.followed(search.ends[layer.name])


def _leave_to_the_last(search: Search) -> None:
    """Give a tensor that two layers in a row were found in to the second, which is fused there.

    A ReLU6 that changes nothing on the few images here may cut off something on others.
    """
    root, fits, sure = search.network.root, search.known.fits, search.is_sure
    wanted = search.wanted
    for layer in reversed(search.spec.layers):
        (name, *others) = layer.inputs or ("",)
        if others or moves(layer) or not {name, layer.name} <= fits.keys():
            continue
        alone = search.after[name] == [layer.name] and name not in search.ends
        first, last = fits[name], fits[layer.name]
        both = root(first.tensor) == root(last.tensor) and sure(wanted[name], first)
        if alone and both and sure(wanted[layer.name], last):
            del fits[name]


def _pass_to_the_end(search: Search) -> None:
    """Find a layer in the last tensor with its values that is made of what is inside the layer.

    What has its values on the few images here may be inside it, and another on other images: of a
    choice between two branches one may be all that these images take, and a ceiling none may reach.
    """
    network, fits = search.network, search.known.fits
    taken = {network.root(fit.tensor) for fit in fits.values()}
    for layer in search.spec.layers:
        moved, behind = _behind(search, layer.name)
        if moves(layer) or not behind or not {layer.name, *behind} <= fits.keys():
            continue
        fit = fits[layer.name]
        if layer.name in search.ends or not layer.inputs or fit.error > RECOGNISED:
            continue
        sources = search.sources(layer, search.known)
        inside = {each.name for each in network.between(sources, fit.tensor)} - {fit.tensor}
        later = [
            each
            for each in search.fits(layer.name, search.wanted[layer.name])
            if each.error <= as_good_as(fit.error)
            and network.root(each.tensor) not in taken
            and network.descends(each.tensor, fit.tensor)
            and all(network.descends(fits[name].tensor, each.tensor) for name in behind)
            and (
                _may_cut(layer, network.kind(each.tensor))
                or inside & {e.name for e in network.between((*sources, fit.tensor), each.tensor)}
            )
        ]
        if later:
            last = max(later, key=lambda each: network.position[each.tensor])
            search.place(layer, last)
            for name in moved & fits.keys():
                orders = search.candidates.orders(search.wanted[name], last.tensor)
                search.place(search.layers[name], min(orders, key=lambda each: each.error))


def _behind(search: Search, name: str) -> tuple[set[str], set[str]]:
    """The layers behind one that only move its values, and those that first compute with them.

    Those where they are seen: a Dense may be fused with its activation.
    """
    moved, behind, waiting = set[str](), set[str](), list(search.after[name])
    while waiting:
        each = waiting.pop()
        if moves(search.layers[each]) and each not in search.ends:
            moved.add(each)
            waiting += search.after[each]
        else:
            behind.add(_end(search, each))
    return moved, behind


def _may_cut(layer: Layer, kind: str) -> bool:
    """Whether an operator may be a layer's own end that changes nothing on few images.

    Args:
        layer: one with a ceiling, whatever the operator, or with a floor.
        kind: of the operator.
    """
    own = layer.applied["config"] if isinstance(layer.applied, Mapping) else layer.config
    capped = layer.activation == "relu6" or own.get("max_value") is not None
    return capped or (layer.activation == "relu" and kind in FLOORS)


def _result(search: Search) -> dict[str, Match]:
    """Where every layer is, once all were taken."""
    _pass_to_the_end(search)
    _leave_to_the_last(search)
    groups: dict[str, list[str]] = {}
    ends = {layer.name: _end(search, layer.name) for layer in search.spec.layers}
    for name, end in ends.items():
        groups.setdefault(end or name, []).append(name)
    return {name: _match(search, name, end, groups[end or name]) for name, end in ends.items()}


def _end(search: Search, name: str) -> str:
    """The layer at which one is seen: itself, or the first that follows and was found."""
    while name and name not in search.known.fits:
        name = next(iter(search.after[name]), "")
    return name


def _match(search: Search, name: str, end: str, group: Collection[str]) -> Match:
    fit, shape = search.known.fits.get(name), search.exact[name].shape[1:]
    if fit is None:
        note = f"folded or fused into {end}" if end else "not found in the file"
        return Match(name, "", None, shape, np.inf, tuple(group), note)
    wanted = search.wanted[name]
    found = search.candidates.read(fit, shape)
    error = apart(wanted, found)
    note = search.notes.get(name, "")
    return Match(name, fit.tensor, fit.reading, shape, error, tuple(group), note)
