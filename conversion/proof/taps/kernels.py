"""The kernels of a layer in the layout of the files."""

from __future__ import annotations

import numpy as np

from conversion.core.spec import KERNELS, Layer
from conversion.proof.metrics.layouts import kernel, ordered


def kernels(layer: Layer) -> tuple[np.ndarray, ...]:
    """A layer's kernels in the order in which it applies them; empty where it has none.

    Args:
        layer: as the spec has it.

    Returns:
        Each ``(O, I / groups, H, W)``, with a height of 1 for one spatial axis, as ONNX files and
        LiteRT files have it; ``(I, O, H, W)`` for a transposed convolution; ``(in, out)`` if
        dense.
    """
    return tuple(_arranged(layer, role) for role in KERNELS if role in layer.weights)


def output_axis(layer: Layer) -> int:
    """The axis of the output channels in the last of a layer's kernels."""
    return 1 if layer.kind == "Dense" or layer.kind.endswith("Transpose") else 0


def _arranged(layer: Layer, role: str) -> np.ndarray:
    found = kernel(layer, role)
    if layer.kind == "Dense":
        return found
    turned = ordered(found, "IOS" if layer.kind.endswith("Transpose") else "OIS")
    return turned[:, :, None] if turned.ndim == 3 else turned
