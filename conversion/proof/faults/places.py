"""Where a layer is in a file that a fault goes into: by its output's values, or its weights'."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.spec import KERNELS, Layer
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.metrics.layouts import kernel
from conversion.proof.taps import opened
from conversion.workspace import Workspace
from conversion.workspace.entries import kept

ALIKE = 0.9
"""Cosine, channel by channel, from which a stored kernel is a layer's; eight bits leave 0.999."""


def tensors(
    workspace: Workspace, digest: str, exposed: Callable[[], opened.Exposed], rounded: float
) -> dict[str, str]:
    """The tensor that holds each layer's output in a good file, or that of the layer it is in.

    Args:
        workspace: a good one, whose store keeps what is found.
        digest: of the file.
        exposed: opens the file with its tensors in view.
        rounded: the error that rounding explains, as in `opened.align`.
    """

    def build(folder: Path) -> Mapping[str, Any]:
        images = {name: array[:16] for name, array in workspace.parity_inputs.items()}
        matches = opened.align(workspace.spec, exposed(), images, rounded=rounded).matches
        found = {name: matches[each.group[-1]].tensor for name, each in matches.items()}
        (folder / "tensors.json").write_text(json.dumps(found))
        return {}

    key = {"spec": workspace.spec.digest, "file": digest}
    makers = (opened.__name__, __name__)
    packages = ("numpy", "onnxruntime")
    entry = kept(workspace.store, workspace.spec, "fault-tensors", key, packages, build, makers)
    found: dict[str, str] = json.loads(entry.file("tensors.json").read_text())
    return found


def kernel_of(layer: Layer) -> np.ndarray:
    """A layer's kernel with its output channels on the last axis.

    Raises:
        NotInjectable: it has none.
    """
    role = next((role for role in KERNELS if role in layer.weights), None)
    if role is None:
        raise NotInjectable(f"{layer.name} has no kernel")
    return kernel(layer, role)


def closest(layer: Layer, stored: Mapping[str, np.ndarray]) -> str:
    """The stored array that holds a layer's kernel, in any layout and in steps of any size.

    Args:
        layer: with a kernel.
        stored: candidates by a name of theirs.

    Raises:
        NotInjectable: none is alike.
    """
    wanted = kernel_of(layer)
    found = {name: _likeness(array, wanted) for name, array in stored.items()}
    best = max(found, key=lambda name: found[name], default="")
    if not best or found[best] < ALIKE:
        raise NotInjectable(f"no stored kernel is that of {layer.name}")
    return best


def _likeness(stored: np.ndarray, wanted: np.ndarray) -> float:
    found = [layout.read(stored) for layout in layouts(wanted.shape, stored.shape)]
    return max((_cosine(each, wanted) for each in found), default=0.0)


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    """The mean cosine of the output channels: steps and factors of a channel do not count."""
    one, two = (each.reshape(-1, each.shape[-1]).astype(np.float64) for each in (first, second))
    sizes = np.linalg.norm(one, axis=0) * np.linalg.norm(two, axis=0)
    products = np.abs((one * two).sum(axis=0))
    return float(np.divide(products, sizes, out=np.ones_like(sizes), where=sizes > 0).mean())


@dataclass(frozen=True)
class Layout:
    """An order of the axes in which a file may hold an array; axes of one element do not count.

    Attributes:
        source: the array's shape in the source.
        stored: its shape in the file.
        axes: of the source's axes without those of one element, in the file's order.
    """

    source: tuple[int, ...]
    stored: tuple[int, ...]
    axes: tuple[int, ...]

    def write(self, array: np.ndarray) -> np.ndarray:
        """An array of the source's shape as the file holds it."""
        wide = [size for size in self.source if size > 1]
        return array.reshape(wide).transpose(self.axes).reshape(self.stored)

    def read(self, array: np.ndarray) -> np.ndarray:
        """What the file holds, in the source's order."""
        wide = [size for size in self.stored if size > 1]
        return array.reshape(wide).transpose(np.argsort(self.axes)).reshape(self.source)


def layouts(source: tuple[int, ...], stored: tuple[int, ...]) -> Iterator[Layout]:
    """Every layout that leads from one shape to the other."""
    wide, wanted = ([size for size in shape if size > 1] for shape in (source, stored))
    if sorted(wide) == sorted(wanted):
        for axes in permutations(range(len(wide))):
            if [wide[axis] for axis in axes] == wanted:
                yield Layout(source, stored, axes)
