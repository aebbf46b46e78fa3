"""The usual ways to get a layer wrong, each as the layer that it would then be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from conversion.core.spec import Layer

Mistake = tuple[str, Layer]
"""What is wrong, in words, and the layer with it."""

SLOPES = (0.01, 0.1, 0.2, 0.3, 1.0)
"""Defaults of a leaky ReLU in PyTorch and ONNX, in papers, in TensorFlow, in Keras; and none."""


def mistakes(layer: Layer) -> Iterator[Mistake]:
    """The usual ways to get a layer wrong.

    Args:
        layer: as the spec has it.
    """
    yield from _of_kernel(layer)
    if "bias" in layer.weights:
        yield "its bias is missing", _weights(layer, bias=np.zeros_like(layer.weights["bias"]))
    if layer.kind == "BatchNormalization":
        yield from _of_normalization(layer)
    yield from _of_activation(layer)
    if layer.kind == "UpSampling2D":
        yield from _of_enlarging(layer)
    if layer.weights:
        half = {role: a.astype(np.float16).astype(a.dtype) for role, a in layer.weights.items()}
        yield "its weights went through float16", _weights(layer, **half)


def _of_kernel(layer: Layer) -> Iterator[Mistake]:
    kernel, config = layer.weights.get("kernel"), layer.config
    if kernel is None:
        return
    if kernel.ndim == 2:
        turned = kernel.T.reshape(kernel.shape)
        yield "its kernel is reshaped where it should be transposed", _weights(layer, kernel=turned)
    if kernel.ndim != 4:
        return
    if kernel.shape[2] == 3:
        words = "its three input channels are read in the order 2, 1, 0: RGB and BGR are exchanged"
        yield words, _weights(layer, kernel=kernel[:, :, ::-1])
    if kernel.shape[0] == kernel.shape[1] > 1:
        words = "its kernel's height and width are exchanged"
        yield words, _weights(layer, kernel=kernel.transpose(1, 0, 2, 3))
    if kernel.shape[2] == kernel.shape[3]:
        words = "its kernel's input and output channels are exchanged"
        yield words, _weights(layer, kernel=kernel.transpose(0, 1, 3, 2))
    yield "its kernel is rotated by 180 degrees", _weights(layer, kernel=kernel[::-1, ::-1])
    for axis, name in ((0, "height"), (1, "width")):
        for step in (-1, 1):
            rolled = _weights(layer, kernel=np.roll(kernel, step, axis))
            yield f"its kernel is rolled by one pixel along its {name}", rolled
    if any(step > 1 for step in config.get("strides") or ()) and config["padding"] == "same":
        # A larger window with zeros in it begins elsewhere; the truth pads by the kernel's size.
        around = (1, 1) if max(kernel.shape[:2]) == 1 else (0, 2)
        late = "late" if max(kernel.shape[:2]) == 1 else "early"
        wider = np.pad(kernel, (around, around, (0, 0), (0, 0)))
        yield f"its windows begin one pixel too {late}: padding", _weights(layer, kernel=wider)


def _of_normalization(layer: Layer) -> Iterator[Mistake]:
    weights, own = layer.weights, layer.config["epsilon"]
    for epsilon in (0.0, 1e-5, 1e-3, 1e-2):
        if epsilon != own:
            yield f"its epsilon is {epsilon:g}, not {own:g}", _config(layer, epsilon=epsilon)
    for one, other in (("gamma", "beta"), ("moving_mean", "moving_variance")):
        if one in weights and other in weights:
            swapped = {one: weights[other], other: np.abs(weights[one])}
            if one == "gamma":
                swapped = {one: weights[other], other: weights[one]}
            yield f"its {one} and {other} are exchanged", _weights(layer, **swapped)


def _of_activation(layer: Layer) -> Iterator[Mistake]:
    name, inner = layer.activation, layer.applied
    if name not in ("linear", "softmax"):
        yield f"its activation {name} is missing", _config(layer, activation="linear")
    if name == "gelu":
        by_tanh = {"class_name": "GELU", "config": {"approximate": True}}
        yield "its GELU is the approximation by tanh", _config(layer, activation=by_tanh)
    if name in ("leaky_relu", "LeakyReLU"):
        own = inner["config"].get("negative_slope", 0.3) if isinstance(inner, Mapping) else 0.2
        for slope in (each for each in SLOPES if each != own):
            bent = {"class_name": "LeakyReLU", "config": {"negative_slope": slope}}
            yield f"its slope is {slope:g}, not {own:g}", _config(layer, activation=bent)
    if layer.kind == "LeakyReLU":
        own = layer.config.get("negative_slope", layer.config.get("alpha", 0.3))
        for slope in (each for each in SLOPES if each != own):
            words = f"its slope is {slope:g}, not {float(own):g}"
            yield words, _config(layer, negative_slope=slope)
    if layer.kind == "Softmax" or name == "softmax":
        yield from _of_softmax(layer, inner)


def _of_softmax(layer: Layer, inner: Any) -> Iterator[Mistake]:
    settings = inner["config"] if isinstance(inner, Mapping) else layer.config
    own, rank = settings.get("axis", -1), len(layer.shape) + 1
    if not isinstance(own, int):
        return
    for axis in (each for each in range(1, rank) if each != own % rank):
        words = f"its softmax is over axis {axis}, not {own % rank}"
        if layer.kind == "Softmax":
            yield words, _config(layer, axis=axis)
        else:
            other = {"class_name": "Softmax", "config": {"axis": axis}}
            yield words, _config(layer, activation=other)


def _of_enlarging(layer: Layer) -> Iterator[Mistake]:
    own = layer.config.get("interpolation", "nearest")
    if own == "bilinear":
        yield "it takes the nearest pixel, not a mean", _config(layer, interpolation="nearest")
        for way in ("asymmetric", "align_corners"):
            words = f"its coordinates are transformed by {way}, not half_pixel"
            yield words, _config(layer, coordinates=way)
    else:
        yield (
            "it interpolates, where the nearest pixel counts",
            _config(layer, interpolation="bilinear"),
        )


def _weights(layer: Layer, **weights: Any) -> Layer:
    return replace(layer, weights={**layer.weights, **weights})


def _config(layer: Layer, **settings: Any) -> Layer:
    return replace(layer, config={**layer.config, **settings})
