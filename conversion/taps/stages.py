"""What a Keras layer becomes in a network: the kinds of operations, in order, that compute it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conversion.spec import Layer
from conversion.taps.graph import ACTIVATIONS, POOLS


@dataclass(frozen=True)
class Stage:
    """One operation of a layer.

    Attributes:
        kinds: those that may compute it, the right one first; another one is a fault to be seen
            in its values, not a reason to lose the way.
        needed: whether a layer without it is incomplete.
        shape: of its kernel, ``(O, I, H, W)`` or ``(in, out)``; empty where it has none.
    """

    kinds: tuple[str, ...]
    needed: bool = True
    shape: tuple[int, ...] = ()


AFFINE = ("scale", "shift", "norm")
"""Kinds that BatchNormalization and Rescaling become, alone or one after another."""

MERGES = {"Add": "sum", "Multiply": "product", "Concatenate": "concat"}

_CHOICES = {
    "MaxPooling2D": "max_pool",
    "AveragePooling2D": "average_pool",
    "GlobalAveragePooling2D": "global_average",
    "GlobalMaxPooling2D": "global_max",
}
_NAMED = {
    "relu": "relu",
    "relu6": "clip",
    "leaky_relu": "leaky_relu",
    "sigmoid": "sigmoid",
    "softmax": "softmax",
    "tanh": "tanh",
}


def stages(layer: Layer) -> list[Stage]:
    """The operations of a layer in order, its own activation last; none for what only moves."""
    found: list[Stage] = []
    if layer.kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
        kind = "dense" if layer.kind == "Dense" else "conv"
        found.append(Stage((kind,), shape=kernel_shape(layer)))
        found.append(Stage(("shift",), needed=False))
    elif layer.kind in _CHOICES:
        found.append(Stage(_preferring(_CHOICES[layer.kind], POOLS)))
    elif layer.kind == "ZeroPadding2D":
        found.append(Stage(("pad",), needed=False))
    activation = _activation(layer)
    if activation:
        found.append(Stage(_preferring(activation, ACTIVATIONS)))
    return found


def kernel_shape(layer: Layer) -> tuple[int, ...]:
    """The shape of a layer's kernel in the files: ``(O, I, H, W)``, or ``(in, out)`` if dense."""
    return kernel(layer).shape


def kernel(layer: Layer) -> np.ndarray:
    """A layer's kernel in the layout of the files: ``(O, I / groups, H, W)``, or ``(in, out)``."""
    found = layer.weights["kernel"]
    if layer.kind == "Dense":
        return found
    if layer.kind == "DepthwiseConv2D":  # (H, W, C, multiplier)
        height, width = found.shape[:2]
        return found.reshape(height, width, 1, -1).transpose(3, 2, 0, 1)
    return found.transpose(3, 2, 0, 1)


def is_affine(layer: Layer) -> bool:
    """Whether the layer multiplies and adds constants, and may be folded into its neighbour."""
    return layer.kind in ("BatchNormalization", "Rescaling")


def _activation(layer: Layer) -> str:
    if layer.kind == "ReLU":
        return "clip" if layer.config.get("max_value") is not None else "relu"
    if layer.kind == "LeakyReLU":
        return "leaky_relu"
    if layer.kind == "Softmax":
        return "softmax"
    return _NAMED.get(layer.activation, "other" if layer.activation != "linear" else "")


def _preferring(first: str, all_kinds: tuple[str, ...]) -> tuple[str, ...]:
    return (first, *(kind for kind in all_kinds if kind != first))


def first_kinds(layer: Layer) -> tuple[str, ...]:
    """Kinds of the first operation of a layer; empty where it only moves elements."""
    if layer.kind in MERGES:
        return (MERGES[layer.kind],)
    if is_affine(layer):
        return AFFINE
    return next((stage.kinds for stage in stages(layer)), ())
