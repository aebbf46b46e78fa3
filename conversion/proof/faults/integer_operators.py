"""Faults in what an int8 file stores for a layer, whatever its format: scales, kernels, biases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from conversion.core.spec import Spec
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.places import layouts
from conversion.proof.faults.stored_weights import following
from conversion.proof.metrics.folding import affine

Edit = Callable[[np.ndarray], np.ndarray]
"""Takes an array, which it may change, and returns another of the same shape."""

OfValue = Callable[[np.ndarray, Any], np.ndarray]


class Stored(Protocol):
    """An int8 file that is changed in place.

    A layer has a ``kernel`` (integers, output channels on the first axis) with a ``kernel_scale``
    for each channel, a ``bias``, and the ``scale`` and ``zero_point`` of what it gives.
    """

    @property
    def spec(self) -> Spec:
        """The model that it was made from."""

    def edit(self, layer: str, role: str, edit: Edit) -> None:
        """Change what a layer stores in a role.

        Raises:
            NotInjectable: it stores nothing there.
        """

    def edit_all(self, role: str, edit: Edit) -> None:
        """Change the scale or the zero point of every activation."""


OfStored = Callable[[Stored, Sequence[str], Any], None]


def each(change: Callable[[Stored, str, Any], None]) -> OfStored:
    """The same change for every layer that is named."""

    def changed(file: Stored, layers: Sequence[str], value: Any) -> None:
        for layer in layers:
            change(file, layer, value)

    return changed


def of(role: str, edit: OfValue) -> OfStored:
    """A fault in one thing that layers store."""
    return each(lambda file, layer, value: file.edit(layer, role, lambda array: edit(array, value)))


def of_all(role: str, edit: OfValue) -> OfStored:
    """A fault in the scales or the zero points of all activations."""
    return lambda file, _, value: file.edit_all(role, lambda array: edit(array, value))


def read(file: Stored, layer: str, role: str) -> np.ndarray:
    """What a layer stores in a role."""
    found = list[np.ndarray]()

    def look(array: np.ndarray) -> np.ndarray:
        found.append(array.copy())
        return array

    file.edit(layer, role, look)
    return found[0]


def times(array: np.ndarray, factor: float) -> np.ndarray:
    """Every element times a factor; integers are rounded down."""
    moved = array * np.asarray(factor, array.dtype if array.dtype.kind == "f" else np.float64)
    return np.asarray(moved if array.dtype.kind == "f" else np.floor(moved))


def moved(array: np.ndarray, step: float) -> np.ndarray:
    """Every integer moved by a step, within what its type holds."""
    limits = np.iinfo(array.dtype)
    return np.asarray(np.clip(array.astype(np.int64) + int(step), limits.min, limits.max))


def first_times(array: np.ndarray, factor: float) -> np.ndarray:
    """The first element times a factor."""
    array.flat[0] *= factor
    return array


def rolled(scales: np.ndarray) -> np.ndarray:
    """Every number in the place of the next.

    Raises:
        NotInjectable: they are one and the same.
    """
    if (scales == scales.flat[0]).all():
        raise NotInjectable("nothing changes: all scales are the same")
    return np.roll(scales, 1)


def of_smallest(step: Callable[[int], int]) -> OfValue:
    """Another value in the byte of smallest size."""

    def edit(array: np.ndarray, _: Any) -> np.ndarray:
        place = int(np.abs(array.astype(np.int64)).argmin())
        array.flat[place] = np.uint8(step(int(array.flat[place])) & 0xFF).view(np.int8)
        return array

    return edit


def in_steps(kernel: np.ndarray, step: int) -> np.ndarray:
    """Integers that are multiples of a step: 4 leaves six bits, 16 leaves four."""
    return np.asarray(np.clip(step * np.rint(kernel / step), step - 128, 128 - step))


def noisy(kernel: np.ndarray, size: float) -> np.ndarray:
    """Integers times 1 and noise, as another training would leave them."""
    drawn = np.random.default_rng(0).standard_normal(kernel.shape)
    return np.asarray(np.clip(np.rint(kernel * (1 + size * drawn)), -127, 127))


def swapped(file: Stored, layers: Sequence[str], roles: Sequence[str]) -> None:
    """What two layers store in some roles for each other."""
    for role in roles:
        first, second = (read(file, layer, role) for layer in layers)
        file.edit(layers[0], role, lambda _, other=second: other)  # type: ignore[misc]
        file.edit(layers[1], role, lambda _, other=first: other)  # type: ignore[misc]


def truncated(file: Stored, layer: str, _: Any) -> None:
    """A kernel is truncated where it should be rounded."""
    norm = following(file.spec).get(layer)
    kernel = file.spec.layer(layer).weights["kernel"]
    real = kernel if norm is None else kernel * affine(norm).factor
    scale = read(file, layer, "kernel_scale")

    def edit(whole: np.ndarray) -> np.ndarray:
        step = scale.reshape(-1, *[1] * (whole.ndim - 1))
        every = [layout.write(real) / step for layout in layouts(real.shape, whole.shape)]
        nearest = min(every, key=lambda found: float(np.abs(found - whole).sum()))
        return np.asarray(np.trunc(nearest))

    file.edit(layer, "kernel", edit)


def of_one_scale(file: Stored, layer: str, _: Any) -> None:
    """A kernel quantized by one scale, which is written down for each output channel."""
    whole, scale = (read(file, layer, role) for role in ("kernel", "kernel_scale"))
    real = whole * scale.reshape(-1, *[1] * (whole.ndim - 1)).astype(np.float64)
    one = np.full_like(scale, np.abs(real).max() / 127)
    file.edit(layer, "kernel", lambda _: np.rint(real / one.flat[0]))
    file.edit(layer, "kernel_scale", lambda _: one)
    file.edit(layer, "bias", lambda b: b if b.dtype.kind == "f" else np.rint(b * (scale / one)))


def bias_not_rescaled(file: Stored, layer: str, _: Any) -> None:
    """A bias is stored in steps of the first channel's scale, in all channels."""
    scale = read(file, layer, "kernel_scale")
    file.edit(layer, "bias", lambda bias: np.rint(bias * (scale / scale[0])))


OPERATORS: Mapping[str, OfStored] = {
    "scale-times": of("scale", times),
    "scale-off": of("scale", lambda scale, share: times(scale, 1 + share)),
    "scale-ulp": of("scale", lambda scale, _: np.nextafter(scale, scale.dtype.type(np.inf))),
    "zero-point-off": of("zero_point", moved),
    "scales-times": of_all("scale", times),
    "zero-points-off": of_all("zero_point", moved),
    "kernel-scales-rolled": of("kernel_scale", lambda scale, _: rolled(scale)),
    "channel-scale-times": of("kernel_scale", first_times),
    "channel-scale-off": of("kernel_scale", lambda scale, share: first_times(scale, 1 + share)),
    "kernel-of-one-scale": each(of_one_scale),
    "kernel-noise": of("kernel", noisy),
    "kernel-in-steps": of("kernel", in_steps),
    "kernel-clipped": of("kernel", lambda kernel, end: np.clip(kernel, -end, end)),
    "kernel-truncated": each(truncated),
    "kernel-bit": of("kernel", of_smallest(lambda value: value ^ 0x80)),
    "kernel-byte": of("kernel", of_smallest(lambda value: value + 1)),
    "bias-times": of("bias", times),
    "bias-not-rescaled": each(bias_not_rescaled),
    "swapped": swapped,
}
"""Name to a fault of what layers store in an int8 file."""
