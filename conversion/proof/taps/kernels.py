"""The kernels of a layer in the layout of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from conversion.core.spec import Layer
from conversion.proof.metrics.folding import along

ROLES = ("depthwise_kernel", "kernel", "pointwise_kernel")
"""Roles of kernels, in the order in which a layer applies them."""


def kernels(layer: Layer) -> tuple[np.ndarray, ...]:
    """A layer's kernels in the order in which it applies them; empty where it has none.

    Args:
        layer: as the spec has it.

    Returns:
        Each ``(O, I / groups, H, W)``, with a height of 1 for one spatial axis, as ONNX files and
        LiteRT files have it; ``(I, O, H, W)`` for a transposed convolution; ``(in, out)`` if
        dense.
    """
    return tuple(_arranged(layer, role) for role in ROLES if role in layer.weights)


def kernel(layer: Layer) -> np.ndarray:
    """The last of a layer's kernels, into which a BatchNormalization that follows may be folded."""
    return kernels(layer)[-1]


def likeness_of(known: Sequence[np.ndarray], constants: Mapping[str, np.ndarray]) -> float:
    """How alike a stored kernel and a layer's are, 0 to 1, whatever scales its channels.

    Args:
        known: a layer's kernels.
        constants: of an operation; integers have scale and zero point beside them.

    Returns:
        The mean over the channels of the cosine, without its sign: what follows the layer may be
        folded into the kernel.
    """
    stored = np.asarray(constants["kernel"], np.float64)
    axis = 0 if stored.ndim > 2 else 1
    zero = np.asarray(constants.get("kernel_zero_point", 0), np.float64)
    if zero.size == stored.shape[axis]:
        zero = along(zero.reshape(-1), stored.ndim, axis)
    elif zero.size != 1:
        return 0.0
    return max((_cosine(each, stored - zero, axis) for each in known), default=0.0)


def _cosine(ours: np.ndarray, theirs: np.ndarray, axis: int) -> float:
    if ours.shape != theirs.shape:
        return 0.0
    one, other = (
        np.moveaxis(each, axis, 0).reshape(each.shape[axis], -1) for each in (ours, theirs)
    )
    sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(np.abs((one * other).sum(axis=1) / np.maximum(sizes, 1e-300)).mean())


def output_axis(layer: Layer) -> int:
    """The axis of the output channels in the last of a layer's kernels."""
    return 1 if layer.kind == "Dense" or layer.kind.endswith("Transpose") else 0


def _arranged(layer: Layer, role: str) -> np.ndarray:
    found = layer.weights[role]
    if layer.kind == "Dense":
        return found
    if layer.kind.startswith("Depthwise") or role == "depthwise_kernel":  # (..., C, multiplier)
        found = found.reshape(*found.shape[:-2], 1, -1)
    turned = np.moveaxis(found, (-1, -2), (0, 1))
    return turned[:, :, None] if turned.ndim == 3 else turned
