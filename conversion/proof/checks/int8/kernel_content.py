"""The kernels of layers in a quantized file, found by what they hold, and not by where they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from conversion.core.spec import KERNELS, Layer, Spec
from conversion.proof.metrics import folding
from conversion.proof.metrics.limits import FOLDED, STEP
from conversion.proof.taps.foldings import Folding, ahead, behind, readers
from conversion.proof.taps.kernels import kernels, output_axis
from conversion.proof.taps.network import Computed, Constant
from conversion.proof.taps.owners import Owners, kernel_of

TURNS = {
    2: ((0, 1), (1, 0)),
    3: ((0, 1, 2),),
    4: ((0, 1, 2, 3), (0, 3, 1, 2), (3, 0, 1, 2)),
    5: ((0, 1, 2, 3, 4), (4, 3, 0, 1, 2)),
}
"""Ways to turn the axes of a stored kernel into the order of `kernels`."""

ESTIMATED = 1.5
"""Steps that stand for one where the scale is computed at run time and estimated here: what it is
off by moves the largest integers by a quarter of a step."""

MOST, NEAR, PART = 0.5, 4.0, 0.03
"""A kernel is found where more than this share of its elements is near what it should be: within so
many steps, or so large a part of the largest. Other kernels' elements are tens of steps away."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a kernel of a layer may have become.

    Attributes:
        layer: its name.
        what: which of its kernels, in words.
        kernel: in float64, in the layout of `kernels`.
        axis: its axis of output channels.
        rest: what is added after it.
        covers: arrays of the spec that it is made of.
        before: what is done to each channel that it reads, and is folded into it.
    """

    layer: str
    what: str
    kernel: np.ndarray
    axis: int
    rest: folding.Affine
    covers: tuple[np.ndarray, ...] = ()
    before: Folding = field(default_factory=Folding)


@dataclass(frozen=True, eq=False)
class Found:
    """A kernel of a layer in a file.

    Attributes:
        wanted: what it should be.
        step: the step that multiplies by it.
        constant: the array.
        real: what is stored, in the layout of what is wanted.
        unit: the size of a step of each element; 0 where it is stored in float.
        share: of the elements that are as they should be.
        near: of those that are near that.
        alike: other ways in which the same kernel may be meant, which differ in what is added.
    """

    wanted: Wanted
    step: Computed
    constant: Constant
    real: np.ndarray
    unit: np.ndarray
    share: float
    near: float
    alike: tuple[Wanted, ...] = ()

    @property
    def slack(self) -> np.ndarray:
        """How far each element may be from what it should be."""
        return slack_of(self.wanted.kernel, self.unit)

    @property
    def is_located(self) -> bool:
        """Whether it is this kernel beyond doubt, with whatever errors."""
        return self.near > MOST


def slack_of(wanted: np.ndarray, unit: np.ndarray, terms: np.ndarray | None = None) -> np.ndarray:
    """How far numbers may be from what they should be.

    Args:
        wanted: the numbers.
        unit: the step in which they are stored; 0 in float.
        terms: the size that rounding is relative to; the numbers' own by default.
    """
    size = np.abs(wanted if terms is None else terms).astype(np.float32)
    return np.asarray(STEP.value * unit + FOLDED.value * np.spacing(size).astype(np.float64))


def near_of(wanted: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """How far numbers may be from what they should be and still be meant to be that."""
    return np.asarray(np.maximum(NEAR * unit, PART * np.abs(wanted).max(initial=0.0)))


def ways(spec: Spec, layer: Layer, following: Mapping[str, list[Layer]]) -> list[list[Wanted]]:
    """What the kernels of a layer may have become: a list a kernel, with nothing folded in first.

    Args:
        spec: the model.
        layer: one with kernels.
        following: what `readers` gives.
    """
    before = list(ahead(spec, layer, following))
    *first, last = kernels(layer)
    *their_roles, role = (role for role in KERNELS if role in layer.weights)
    words, axis = f"kernel of {layer.name}", output_axis(layer)
    found = list[list[Wanted]]()
    for kernel, own in zip(first, their_roles, strict=True):
        what, options = f"the depthwise {words}", list[Wanted]()
        for each in before:
            turned, added = _behind(layer, kernel, each.affine, depthwise=True)
            rest = folding.Affine(np.ones(()), added.sum(axis=1), np.abs(added).sum(axis=1))
            covers = (layer.weights[own], *each.arrays)
            options.append(Wanted(layer.name, what, turned, 0, rest, covers, each))
        found.append(options)
        before = [Folding()]
    bias = np.zeros(last.shape[axis]) if "bias" not in layer.weights else layer.weights["bias"]
    options = []
    for given, after in product(before, behind(spec, layer, following)):
        turned, added = _behind(layer, last, given.affine, layer.kind.startswith("Depthwise"))
        whole = turned * folding.along(after.affine.factor, turned.ndim, axis)
        rest = folding.Affine(
            np.ones(()), bias + added.sum(axis=1), np.abs(bias) + np.abs(added).sum(axis=1)
        ).then(after.affine)
        rest = folding.Affine(np.ones(()), rest.offset, rest.terms)
        covers = (layer.weights[role], *given.arrays, *after.arrays)
        options.append(Wanted(layer.name, f"the {words}", whole, axis, rest, covers, given))
    return [*found, options]


def _behind(
    layer: Layer, kernel: np.ndarray, ahead: folding.Affine, depthwise: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """A kernel that takes over a factor and an offset of what it reads, and what those add.

    Returns:
        The kernel, and ``(C, ...)`` the terms of what the offset adds to each channel.
    """
    axis = 0 if depthwise or layer.kind == "Dense" or layer.kind.endswith("Transpose") else 1
    count = kernel.shape[axis]
    factor, offset = (
        np.broadcast_to(_spread(each, count), count) for each in (ahead.factor, ahead.offset)
    )
    added = np.moveaxis(
        kernel * folding.along(offset, kernel.ndim, axis), 0 if depthwise else output_axis(layer), 0
    )
    return kernel * folding.along(factor, kernel.ndim, axis), added.reshape(len(added), -1)


def _spread(values: np.ndarray, count: int) -> np.ndarray:
    """One value a channel, repeated where a channel is read more than once."""
    flat = np.asarray(values, np.float64).reshape(-1)
    return np.repeat(flat, count // flat.size) if count % flat.size == 0 else np.full(count, np.nan)


class Kernels:
    """Every kernel that a file holds, and which of a spec's it is."""

    def __init__(self, owners: Owners) -> None:
        """List what the file's steps multiply by.

        Args:
            owners: the layers in the file.
        """
        self._owners, self._following = owners, readers(owners.spec)
        self._found: dict[str, list[Found | None]] = {}
        self._held = [
            (step, constant)
            for step in owners.network.tensors
            if (constant := kernel_of(step)) is not None
        ]

    def found(self, layer: Layer) -> list[Found | None]:
        """The kernels of a layer in the file, None for one of whose size there is none.

        Args:
            layer: one with kernels.
        """
        if layer.name not in self._found:
            match = self._owners.matches.get(layer.name)
            end = layer.name if match is None else match.group[-1]
            place = {each.name for each in self._owners.parts.get(end, ())}
            options = ways(self._owners.spec, layer, self._following)
            self._found[layer.name] = [self._best(each, place) for each in options]
        return self._found[layer.name]

    def _best(self, options: Sequence[Wanted], place: Collection[str]) -> Found | None:
        found = [each for option in options for each in self._fits(option)]

        def order(each: Found) -> tuple[float, float, bool]:
            return (-round(each.share, 2), -round(each.near, 2), each.step.name not in place)

        best = min(found, key=order, default=None)
        if best is None:
            return None
        others = (each for each in options if each is not best.wanted)
        same = (each for each in others if np.array_equal(each.kernel, best.wanted.kernel))
        return replace(best, alike=tuple(same))

    def _fits(self, wanted: Wanted) -> Iterator[Found]:
        """Every stored array of a kernel's size, in every layout that gives its shape."""
        for step, constant in self._held:
            if np.prod(constant.shape) != wanted.kernel.size:
                continue
            for real, unit in read_as(constant, wanted.kernel.shape):
                if _is_counted(constant):
                    real, unit = _scaled(real, wanted)
                away = np.abs(real - wanted.kernel)
                share = float((away <= slack_of(wanted.kernel, unit)).mean())
                near = float((away <= near_of(wanted.kernel, unit)).mean())
                yield Found(wanted, step, constant, real, unit, share, near)


def read_as(constant: Constant, shape: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A stored array and the step of each element, in every layout of a shape.

    Args:
        constant: the array.
        shape: the wanted one, up to axes of size 1.
    """
    try:
        real, unit = constant.real().astype(np.float64), units(constant)
    except ValueError:  # as many scales as no axis has
        return
    wide = [size for size in shape if size != 1]
    for turn in TURNS.get(real.ndim, ()):
        if [real.shape[i] for i in turn if real.shape[i] != 1] == wide:
            yield real.transpose(turn).reshape(shape), unit.transpose(turn).reshape(shape)


def units(constant: Constant) -> np.ndarray:
    """The step in which each element of an array is stored; 0 in float.

    Raises:
        ValueError: there is not one scale, nor one for each channel.
    """
    if constant.steps is None:
        return np.zeros(constant.shape)
    scale = np.abs(constant.steps.scale.astype(np.float64)).reshape(-1)
    if scale.size == 1:
        return np.full(constant.shape, scale[0])
    return np.array(
        np.broadcast_to(folding.along(scale, len(constant.shape), constant.axis), constant.shape)
    )


def _is_counted(constant: Constant) -> bool:
    """Whether another step multiplies by the scale of an array's integers."""
    return constant.steps is not None and bool((constant.steps.scale == 1).all())


def _scaled(real: np.ndarray, wanted: Wanted) -> tuple[np.ndarray, np.ndarray]:
    """Integers times the scale of each channel that brings them closest, and that scale."""
    others = tuple(i for i in range(real.ndim) if i != wanted.axis)
    square = np.maximum((real * real).sum(axis=others, keepdims=True), 1e-300)
    scale = (real * wanted.kernel).sum(axis=others, keepdims=True) / square
    return real * scale, np.broadcast_to(ESTIMATED * np.abs(scale), real.shape)
