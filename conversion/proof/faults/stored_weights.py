"""Weights of a misread spec written into a float file that holds them in layouts of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from conversion.core.spec import KERNELS, Layer, Spec
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.places import layouts
from conversion.proof.metrics.folding import affine
from conversion.proof.metrics.layouts import kernel
from conversion.proof.taps.foldings import readers

NORM = "BatchNormalization"


def rewritten(
    good: Spec, wrong: Spec, stored: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """The stored arrays that a misread spec changes: their names and other values.

    A weight is searched by its values: as it is, or with the BatchNormalization behind it folded
    in. Elements that the misreading leaves alone keep their bits.

    Args:
        good: what the file was made from.
        wrong: the same layers with other weights or another epsilon.
        stored: the file's float constants by name.

    Raises:
        NotInjectable: a layer whose weights differ is nowhere in the file, or in several places.
    """
    behind = following(good)
    folded = {norm.name for norm in behind.values()}  # found with what they are folded into
    anything = False
    for before, after in zip(good.layers, wrong.layers, strict=True):
        norm = behind.get(before.name)
        norms = [None if norm is None else spec.layer(norm.name) for spec in (good, wrong)]
        if before is after and norms[0] is norms[1]:
            continue
        found = False
        pairs = zip(_forms(before, norms[0]), _forms(after, norms[1]), strict=True)
        for ours, theirs in pairs:
            if np.array_equal(ours, theirs):
                continue
            for name, other in _exchanged(before, ours, theirs, stored):
                found = anything = True
                yield name, other
        if not found and before is not after and before.name not in folded:
            raise NotInjectable(f"no constant has the weights of {before.name}")
    if not anything:
        raise NotInjectable("no constant changes")


def following(spec: Spec) -> dict[str, Layer]:
    """Layer name to the BatchNormalization that alone reads it."""
    alone = {name: found[0] for name, found in readers(spec).items() if len(found) == 1}
    return {name: layer for name, layer in alone.items() if layer.kind == NORM}


def _forms(layer: Layer, norm: Layer | None) -> list[np.ndarray]:
    """What a file may hold of a layer, in a fixed order."""
    kernels = {role: kernel(layer, role) for role in KERNELS if role in layer.weights}
    found = [kernels.get(role, array) for role, array in layer.weights.items()]
    with np.errstate(all="ignore"):  # a swapped variance may be negative
        if layer.kind == NORM:
            found += [affine(layer).factor, affine(layer).offset]
        if norm is not None and kernels:
            after = affine(norm)
            found.append([*kernels.values()][-1] * after.factor)
            found.append(layer.weights.get("bias", np.float64(0)) * after.factor + after.offset)
    return found


def _exchanged(
    layer: Layer, ours: np.ndarray, theirs: np.ndarray, stored: Mapping[str, np.ndarray]
) -> list[tuple[str, np.ndarray]]:
    found = []
    close = 1e-5 * np.abs(ours) + 1e-6 * np.abs(ours).max(initial=0)  # of float32 folding
    for name, array in stored.items():
        for layout in layouts(ours.shape, array.shape):
            if (np.abs(layout.read(array) - ours) <= close).all():
                changed = layout.write(theirs != ours)
                other = np.where(changed, layout.write(theirs), array).astype(array.dtype)
                found.append((name, other))
                break
    if len(found) > 1:
        raise NotInjectable(f"{len(found)} constants have the same weights as {layer.name}")
    return found
