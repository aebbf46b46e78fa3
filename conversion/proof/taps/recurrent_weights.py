"""Where a float file holds the weights of layers that go through a sequence: as they are, by gate.

Such a layer is a loop, one step a copy, or one operator with its gates in an order of its own, so
that no tensor in it is the layer's. Its weights are constants all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from conversion.core.spec import Layer
from conversion.proof.metrics import layouts
from conversion.proof.metrics.weights import Held
from conversion.proof.taps.network import Constant, Network

ORDERS = {4: ((0, 1, 2, 3), (0, 3, 1, 2))}
"""Gates to their orders in files: Keras's input, forget, cell, output, and ONNX's LSTM, which has
the cell last. Of three, ONNX's GRU has Keras's own order."""


def over_time(layers: Sequence[Layer], network: Network) -> list[Held]:
    """The weights that are found of layers that go through a sequence, each beside every copy.

    Args:
        layers: of recurrent classes, or around another layer.
        network: a float file's network.
    """
    constants: dict[str, Constant] = {}
    for each in network.tensors:
        constants |= {constant.name: constant for constant in each.constants}
    found: list[Held] = []
    for layer in layers:
        for role, wanted in ((r, w) for r, w in layer.weights.items() if w.size > 1):
            words = f"the {role.replace('/', ' ')} of {layer.name}"
            whole = Held(layer.name, words, wanted, wanted, None, (wanted,))
            for pieces in _pieces(wanted, _gates(layer, role)):
                copies = [list(_copies(whole, laid, constants.values())) for laid in pieces]
                if all(copies):
                    found += [held for each in copies for held in each]
                    break
    return found


def _copies(
    whole: Held, laid: Sequence[np.ndarray], constants: Iterable[Constant]
) -> Iterator[Held]:
    """A weight, or a piece of it in some orders, beside every constant that is mostly the same."""
    count = laid[0].size
    for constant in constants:
        if int(np.prod(constant.shape)) not in (count, 2 * count, 4 * count):
            continue
        for part in _parts(constant.stored(), count):
            each = (w.reshape(part.shape) for w in laid if layouts.fits(part.shape, w.shape))
            beside = (replace(whole, found=part, wanted=value) for value in each)
            held = min(beside, key=lambda each: int(each.differing().sum()), default=None)
            if held is not None and held.mostly:
                yield held


def _gates(layer: Layer, role: str) -> int:
    """How many gates stand side by side in a weight; 1 where that is not known."""
    recurrent = layer.weights.get(f"{role.rpartition('/')[0]}/recurrent_kernel")
    return 1 if recurrent is None else recurrent.shape[-1] // recurrent.shape[-2]


def _pieces(wanted: np.ndarray, gates: int) -> Iterator[list[list[np.ndarray]]]:
    """The ways in which a weight may be cut, each piece in the orders that it may have."""
    apart = np.split(wanted, gates, axis=-1)
    orders = ORDERS.get(gates, (tuple(range(gates)),))
    joined = [np.concatenate([apart[gate] for gate in order], axis=-1) for order in orders]
    # The two biases of a GRU also stand one behind the other.
    yield [[w for whole in joined for w in (*layouts.turned(whole), whole.reshape(-1))]]
    if gates == 3:
        yield [list(layouts.turned(each)) for each in (np.concatenate(apart[:2], -1), apart[2])]
    if gates == 3 and wanted.ndim == 2 and len(wanted) == 2:
        yield [[row] for row in wanted]


def _parts(stored: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """A constant, or what stands in it for each direction, without the bias that Keras has not."""
    ways = [*stored] if stored.size != size and len(stored) == 2 else [stored]
    for way in ways:
        flat = way.reshape(-1)
        if way.size == size:
            yield way
        elif way.size == 2 * size and not flat[size:].any():
            yield flat[:size]
