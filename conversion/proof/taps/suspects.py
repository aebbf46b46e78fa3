"""Why a layer is nowhere in a file: what must be wrong so that all that follows is right."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from conversion.core.spec import Layer
from conversion.proof.taps.candidates import Fit
from conversion.proof.taps.matches import EQUAL, Known
from conversion.proof.taps.moving import moves
from conversion.proof.taps.searching import Search

STEPS = 4
"""Operators between a tensor and another one that may stand in its place."""

TRIED = 12
"""Tensors that are tried in the place of a layer that is wrong."""

MOST_FUSED = 4
"""Layers that are fused with a later one, as a convolution, its normalization and activation."""

CLOSER = 3
"""Times as close as what follows a layer comes without it, where it is missing."""

ENOUGH = 3
"""Where so many layers follow as they should, no other explanation is tried."""


def is_plain(search: Search, name: str, later: Collection[str]) -> bool:
    """Whether what follows a layer leaves no doubt that the layer is as it should be.

    One layer alone may be so whatever comes in: a softmax, say, that answers 0 or 1.

    Args:
        search: what was found so far.
        name: a layer that is nowhere.
        later: the layers behind it that are where they should be.
    """
    if not later:
        return False
    after = search.downstream(name)
    first = after.index(next(each for each in after if each in later))
    computing = [each for each in after[:first] if not moves(search.layers[each])]
    return not computing or (len(computing) < MOST_FUSED and len(later) > 1)


def left_out(search: Search, layer: Layer, later: Mapping[str, Fit]) -> Fit | None:
    """The tensor of a layer's input, where what follows is much closer to right without the layer.

    With eight bits a layer that is missing may change what follows by little more than rounding.

    Args:
        search: what was found so far.
        layer: one that is nowhere.
        later: the layers behind it that are where they should be if it is fused.
    """
    first = next(each for each in search.downstream(layer.name) if each in later)
    wanted = search.wanted[layer.name]
    for name in layer.inputs:
        held = search.known.fits.get(name)
        if held is None or search.known.values[name].shape != wanted.shape:
            continue
        error = _error(search, layer, held, search.known.values[name], first, later[first].tensor)
        if later[first].error > EQUAL and error < later[first].error / CLOSER:
            return held
    return None


def is_fused(search: Search, layer: Layer, fit: Fit) -> bool:
    """Whether what follows a layer is much closer to right if a tensor is not the layer's.

    With eight bits a tensor without the bias that a converter moved forward may be close enough.

    Args:
        search: what was found so far.
        layer: one that the tensor fits but for more than its own rounding.
        fit: the tensor.
    """
    later = following(search, search.known.copy(), layer.name, enough=1)
    if not later:
        return False
    ((first, found),) = later.items()
    value = search.candidates.read(fit, search.wanted[layer.name].shape[1:])
    return found.error < _error(search, layer, fit, value, first, found.tensor) / CLOSER


def _error(
    search: Search, layer: Layer, fit: Fit, value: np.ndarray, first: str, found: str
) -> float:
    """How far a later layer's tensor is from right where a layer has the values of a tensor.

    Another tensor may be right, and then the later one's is without a layer: a ReLU of what a ReLU
    gave is that itself.
    """
    known = search.known.copy()
    known.put(layer.name, value, fit, search.exact[layer.name])
    right = search.supposed(first, known)
    return min(each.error for each in search.candidates.orders(right, found))


def wrong(search: Search, layer: Layer, least: int) -> Fit | None:
    """The tensor from which most of what follows a layer is as it should be.

    Args:
        search: what was found so far.
        layer: one that is nowhere, and not the last one.
        least: as many layers must then be where they should be.
    """
    best: tuple[int, Fit] | None = None
    for fit in _likely(search, layer):
        value = search.candidates.read(fit, search.wanted[layer.name].shape[1:])
        count = len(following(search, search.known.copy(), layer.name, fit, value))
        if count >= (best[0] + 1 if best else max(least, 1)):
            best = count, fit
        if count >= ENOUGH:
            break
    return best[1] if best else None


def _likely(search: Search, layer: Layer) -> Iterator[Fit]:
    """Tensors of the layer's size, those first that are computed from its inputs in few steps."""
    sources = search.sources(layer, search.known)
    taken = {search.network.root(fit.tensor) for fit in search.known.fits.values()}
    near = [name for each in sources for name in search.network.near(each, STEPS)]
    names = dict.fromkeys([*near, *(each.name for each in search.network.tensors)])
    free = [name for name in names if search.network.root(name) not in taken]
    first = [name for name in free if name in near]
    count = 0
    for name in dict.fromkeys([*first, *sources, *free]):
        fits = search.candidates.orders(search.wanted[layer.name], name)
        yield from sorted(fits, key=lambda fit: fit.error)
        count += bool(fits)
        if count == TRIED:
            return


def following(
    search: Search,
    known: Known,
    name: str,
    fit: Fit | None = None,
    value: np.ndarray | None = None,
    first: str = "",
    enough: int = 0,
) -> dict[str, Fit]:
    """What follows a layer as it should if the layer has the values of a tensor.

    Args:
        search: what was found so far.
        known: the same, to be changed.
        name: the layer.
        fit: the tensor; what the layer should give where there is none.
        value: its values.
        first: a layer without which nothing else counts; empty where there is none.
        enough: how many are asked for at most; 0 for all.

    Returns:
        Layers that compute something and are where they should be, to their tensors.
    """
    if fit is not None and value is not None:
        known.put(name, value, fit, search.exact[name])
    right: dict[str, Fit] = {}
    missed = 0
    for each in search.downstream(name):
        if each in known.values:
            continue
        layer = search.layers[each]
        try:
            wanted = search.supposed(each, known)
        except (ValueError, IndexError):  # the values are of another shape than the layer's
            break
        found = search.fit(layer, wanted, known, behind=fit.tensor if fit else "")
        if found is not None and search.is_sure(wanted, found):
            if not moves(layer):  # that has what the layer before has, and is not judged alone
                value = search.candidates.read(found, wanted.shape[1:])
                known.put(each, value, found, search.exact[each])
                right[each] = found
            if enough and len(right) == enough:
                break
        elif each == first or (not right and missed == MOST_FUSED):
            break
        else:
            missed += not moves(layer)
    return right
