"""Which layers can have a fault: the words of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from conversion.core.spec import KERNELS, Layer

FUNCTIONS = ("relu", "relu6", "sigmoid", "tanh", "elu")


def _shape(layer: Layer) -> tuple[int, ...]:
    return next((layer.weights[role].shape for role in KERNELS if role in layer.weights), ())


def _is_plain(layer: Layer) -> bool:
    return "kernel" in layer.weights and len(_shape(layer)) in (2, 4)


def _has_window(layer: Layer) -> bool:
    return len(_shape(layer)) == 4 and min(_shape(layer)[:2]) > 1


def _is_softmax(layer: Layer) -> bool:
    return layer.kind == "Softmax" or layer.activation == "softmax"


FITS: Mapping[str, Callable[[Layer], bool]] = {
    "weights": lambda layer: any(array.any() for array in layer.weights.values()),
    "kernel": lambda layer: bool(_shape(layer)),
    "bias": lambda layer: bool(_shape(layer)) and bool(np.any(layer.weights.get("bias", 0))),
    "plain": _is_plain,
    "window": _has_window,
    "square": lambda layer: _has_window(layer) and _shape(layer)[0] == _shape(layer)[1],
    "as-many": lambda layer: _is_plain(layer) and _shape(layer)[-1] == _shape(layer)[-2] > 1,
    "norm": lambda layer: layer.kind == "BatchNormalization",
    "epsilon": lambda layer: "epsilon" in layer.config and layer.kind != "BatchNormalization",
    "affine": lambda layer: {"gamma", "beta"} <= set(layer.weights),
    "activation": lambda layer: layer.kind == "ReLU" or layer.activation in FUNCTIONS,
    "relu": lambda layer: (
        (layer.kind, layer.activation) == ("Activation", "relu") or layer.kind == "ReLU"
    ),
    "gelu": lambda layer: layer.activation == "gelu",
    "pooling": lambda layer: "Pooling2D" in layer.kind,
    "resize": lambda layer: layer.kind == "UpSampling2D",
    "sum": lambda layer: layer.kind == "Add",
    "ordered": lambda layer: layer.kind in ("Concatenate", "Subtract"),
    "softmax": lambda layer: layer.activation == "softmax",
    "softmax-of-rows": lambda layer: _is_softmax(layer) and len(layer.shape) > 1,
}
"""Word of the table to whether a layer can have the fault."""
