"""What a converter may multiply into a kernel: the adding and multiplying around its layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.metrics import folding
from conversion.proof.metrics.folding import Affine
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.moving import moves

ENDS = {"squareplus": 0.5, **dict.fromkeys(("hard_sigmoid", "hard_swish", "hard_silu"), 1 / 6)}
"""Activation to the constant that it multiplies with last."""

BEGINNINGS = {
    "hard_sigmoid": (
        folding.identity(3.0),
        folding.scaled(1 / 6).then(folding.identity(0.5)),
    )
}
"""Activation to the adding and multiplying with which it may begin: ``clip(x + 3, 0, 6) / 6``."""


@dataclass(frozen=True, eq=False)
class Folding:
    """Adding and multiplying that goes with a kernel.

    Attributes:
        layers: those that are folded in, in the model's order.
        affine: what they do to each channel.
        words: what else is folded in, for messages.
    """

    layers: tuple[Layer, ...] = ()
    affine: Affine = field(default_factory=folding.identity)
    words: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether nothing is folded in."""
        return not self.layers and not self.words

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """The weights of the layers that are folded in."""
        return tuple(array for layer in self.layers for array in layer.weights.values())


def is_affine(layer: Layer) -> bool:
    """Whether a layer adds and multiplies constants and nothing else."""
    return layer.kind in ("BatchNormalization", "Rescaling", "Normalization")


def readers(spec: Spec) -> dict[str, list[Layer]]:
    """Layer name to the layers that read it."""
    found: dict[str, list[Layer]] = {layer.name: [] for layer in spec.layers}
    for layer in spec.layers:
        for name in dict.fromkeys(layer.inputs):
            found[name].append(layer)
    return found


def behind(spec: Spec, layer: Layer, following: Mapping[str, list[Layer]]) -> Iterator[Folding]:
    """What may be folded into a kernel from behind it: nothing, one layer, two, ...

    Args:
        spec: the model.
        layer: the one with the kernel.
        following: what `readers` gives.
    """
    found = Folding()
    yield found
    while layer.activation == "linear":
        after = following[layer.name]
        if len(after) != 1 or not (is_affine(after[0]) or _does_nothing(after[0])):
            break
        (layer,) = after
        if is_affine(layer):
            done = found.affine.then(folding.affine(layer))
            found = Folding((*found.layers, layer), done)
            yield found
    for begun in BEGINNINGS.get(layer.activation, ()):
        done = found.affine.then(begun)
        yield Folding(found.layers, done, f"the constants of {layer.activation}")


def ahead(spec: Spec, layer: Layer, following: Mapping[str, list[Layer]]) -> Iterator[Folding]:
    """What may be folded into a kernel from before it: nothing, one layer, two, ...

    Args:
        spec: the model.
        layer: the one with the kernel.
        following: what `readers` gives.
    """
    found, times = Folding(), 1
    yield found
    while len(layer.inputs) == 1 and _may_leave(following[layer.inputs[0]]):
        layer = spec.layer(layer.inputs[0])
        if is_affine(layer):
            step = _repeated(folding.affine(layer), times)
            found = Folding((layer, *found.layers), step.then(found.affine))
            yield found
        elif layer.kind in ("Flatten", "Reshape"):
            here, there = layer.shape[-1], spec.layer(layer.inputs[0]).shape[-1]
            if here is None or there is None or here % there:
                return
            times *= here // there
        elif not moves(layer) and not layer.kind.startswith("ZeroPadding"):
            factor = (
                1 / len(layer.inputs) if layer.kind == "Average" else ENDS.get(layer.activation)
            )
            if factor is not None:
                last = folding.scaled(factor).then(found.affine)
                yield Folding(found.layers, last, f"the last factor of {layer.name}")
            return


def _may_leave(read_by: list[Layer]) -> bool:
    """Whether what reads a layer can take over what it does: one reader, or each by its kernel."""
    return len(read_by) == 1 or all(map(kernels, read_by))


def _does_nothing(layer: Layer) -> bool:
    return moves(layer) and layer.kind not in ("Flatten", "Reshape", "Permute")


def _repeated(affine: Affine, times: int) -> Affine:
    """What is done to each channel as it is done to each element of a flattened image."""

    def tiled(value: np.ndarray) -> np.ndarray:
        return np.tile(value, times) if value.ndim else value

    return Affine(tiled(affine.factor), tiled(affine.offset), tiled(affine.terms))
