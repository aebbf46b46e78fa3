"""Which layers can have a fault: the words of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from conversion.core.spec import KERNELS, Layer, Spec
from conversion.proof.standard.neighbours import flattened, sources_elsewhere, twin

FUNCTIONS = ("relu", "relu6", "sigmoid", "tanh", "elu")
BOUNDED = ("sigmoid", "tanh", "softmax")


def _shape(layer: Layer) -> tuple[int, ...]:
    return next((layer.weights[role].shape for role in KERNELS if role in layer.weights), ())


def _is_plain(layer: Layer) -> bool:
    return "kernel" in layer.weights and len(_shape(layer)) in (2, 4)


def _has_window(layer: Layer) -> bool:
    return len(_shape(layer)) == 4 and min(_shape(layer)[:2]) > 1


def _is_softmax(layer: Layer) -> bool:
    return layer.kind == "Softmax" or layer.activation == "softmax"


def ceiling_of(layer: Layer) -> float | None:
    """Where a layer's ReLU stops; None where it does not, or has none."""
    found = layer.config.get("max_value") if layer.kind == "ReLU" else None
    return 6.0 if layer.activation == "relu6" else found


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
    "ceiling": lambda layer: ceiling_of(layer) is not None,
    "bounded": lambda layer: _is_softmax(layer) or layer.activation in BOUNDED,
    "leaky": lambda layer: layer.kind == "LeakyReLU",
    "input": lambda layer: layer.kind == "InputLayer",
    "gelu": lambda layer: layer.activation == "gelu",
    "pooling": lambda layer: "Pooling2D" in layer.kind,
    "resize": lambda layer: layer.kind == "UpSampling2D",
    "sum": lambda layer: layer.kind == "Add",
    "ordered": lambda layer: layer.kind in ("Concatenate", "Subtract"),
    "softmax": lambda layer: layer.activation == "softmax",
    "softmax-of-rows": lambda layer: _is_softmax(layer) and len(layer.shape) > 1,
}
"""Word of the table to whether a layer can have the fault, whatever is beside it."""


def fitting(word: str, spec: Spec) -> list[Layer]:
    """The layers of a model that a word of the table stands for.

    Args:
        word: of `FITS` or `BESIDE`.
        spec: the model.
    """
    fits = FITS.get(word) or partial(BESIDE[word], spec)
    return [layer for layer in spec.layers if fits(layer)]


def _reads_the_input(spec: Spec, layer: Layer) -> bool:
    """Whether it is the first on its way that has a kernel."""
    before = layer
    while before.inputs and (before is layer or not _shape(before)):
        before = spec.layer(before.inputs[0])
    return bool(_shape(layer)) and not before.inputs


def _gives_classes(spec: Spec, layer: Layer) -> bool:
    """Whether no layer with weights is behind it, and it has more than one channel."""
    behind = {layer.name}
    for each in spec.layers:
        if behind & set(each.inputs):
            if each.weights:
                return False
            behind.add(each.name)
    return _is_plain(layer) and _shape(layer)[-1] > 1


def _is_padded_on_one_side(spec: Spec, layer: Layer) -> bool:
    """Whether it is a 3x3 kernel in steps of 2 over an even image: padded behind alone."""
    steps = tuple(layer.config.get("strides") or ()), layer.config.get("padding")
    even = not any((size or 1) % 2 for size in spec.layer(layer.inputs[0]).shape[:2])
    return _shape(layer)[:2] == (3, 3) and steps == ((2, 2), "same") and even


BESIDE: Mapping[str, Callable[[Spec, Layer], bool]] = {
    "image": _reads_the_input,
    "classes": _gives_classes,
    "strided": lambda spec, layer: bool(layer.inputs) and _is_padded_on_one_side(spec, layer),
    "flattened": lambda spec, layer: flattened(spec, layer) is not None,
    "twin": lambda spec, layer: twin(spec, layer) is not None,
    "shortcut": lambda spec, layer: any(sources_elsewhere(spec, layer)),
}
"""The same, where it depends on the layers before or behind."""
