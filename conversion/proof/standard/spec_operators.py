"""Ways to misread a spec: other weights, other settings, layers too many or too few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.standard.neighbours import flattened, sources_elsewhere, twin

OfSpec = Callable[[Spec, Sequence[str], Any], Spec]
"""Takes a spec, names of layers and a size or other value; returns another spec."""

OfArray = Callable[[np.ndarray, Any], np.ndarray]


def rebuilt(spec: Spec, name: str, **changes: Any) -> Spec:
    """The spec with one layer changed.

    Args:
        spec: the spec.
        name: the layer.
        changes: fields of `Layer`; ``config`` and ``weights`` are merged into what is there.
    """
    layer = spec.layer(name)
    merged: dict[str, Any] = {
        key: {**getattr(layer, key), **value} if key in ("config", "weights") else value
        for key, value in changes.items()
    }
    return _exchanged(spec, layer, [replace(layer, **merged)])


def each(change: Callable[[Spec, str, Any], Spec]) -> OfSpec:
    """The same change of every layer that is named."""
    return lambda spec, layers, value: reduce(
        lambda found, name: change(found, name, value), layers, spec
    )


def weights(change: OfArray, *roles: str) -> OfSpec:
    """Other weights, in Keras's layout.

    Args:
        change: gives them.
        roles: of these roles; of every one by default.
    """

    def changed(spec: Spec, name: str, value: Any) -> Spec:
        found = {
            role: np.ascontiguousarray(change(array, value), dtype=np.float32)
            for role, array in spec.layer(name).weights.items()
            if not roles or role in roles
        }
        return rebuilt(spec, name, weights=found)

    return each(changed)


def settings(config: Callable[[Layer, Any], Mapping[str, Any]]) -> OfSpec:
    """Other settings."""
    return each(
        lambda spec, name, value: rebuilt(spec, name, config=config(spec.layer(name), value))
    )


def becomes(kind: str, config: Callable[[Layer, Any], Mapping[str, Any]]) -> OfSpec:
    """Another class without weights."""

    def changed(spec: Spec, name: str, value: Any) -> Spec:
        layer = spec.layer(name)
        other = replace(layer, kind=kind, config=config(layer, value), weights={})
        return _exchanged(spec, layer, [other])

    return each(changed)


def behind(kind: str, config: Callable[[Any], Mapping[str, Any]]) -> OfSpec:
    """A layer too many: whatever reads the named one reads it."""

    def change(spec: Spec, name: str, value: Any) -> Spec:
        layer, extra = spec.layer(name), f"{name}_extra"
        made = replace(
            layer, name=extra, kind=kind, config=config(value), inputs=(name,), weights={}
        )

        def rewired(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(extra if found == name else found for found in names)

        layers = tuple(replace(found, inputs=rewired(found.inputs)) for found in spec.layers)
        other = replace(spec, layers=layers, outputs=rewired(spec.outputs))
        return _exchanged(other, layer, [layer, made])

    return each(change)


def one_weight(spec: Spec, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Spec:
    """Another value of one weight, of a kernel if it has one, drawn from all that are not 0."""
    roles = sorted(spec.layer(name).weights, key=lambda role: "kernel" not in role)
    role = next(role for role in roles if spec.layer(name).weights[role].any())
    kernel = spec.layer(name).weights[role].copy()
    flat = kernel.reshape(-1)
    place = np.random.default_rng(0).choice(np.flatnonzero(flat), 1)
    flat[place] = change(flat[place])
    return rebuilt(spec, name, weights={role: kernel})


def one_channel(array: np.ndarray, factor: float) -> np.ndarray:
    """One channel times a factor, drawn by a seed from those that are not 0."""
    found = array.copy()
    channels = np.flatnonzero(found.reshape(-1, found.shape[-1]).any(axis=0))
    found[..., np.random.default_rng(0).choice(channels, 1)] *= np.float32(factor)
    return found


def noisy(spec: Spec, layers: Sequence[str], value: float) -> Spec:
    """Every weight times 1 and noise, as another epoch of the training would leave it."""
    drawn = np.random.default_rng(0)
    change = weights(lambda array, size: array * (1 + size * drawn.standard_normal(array.shape)))
    return change(spec, layers, value)


def rounded(array: np.ndarray, size: float) -> np.ndarray:
    """Values with a relative error of at most the size: 2^-8 is bfloat16, 2^-11 is float16."""
    mantissa, exponent = np.frexp(array.astype(np.float64))
    steps = 2.0 ** round(-np.log2(size))
    return np.asarray(np.ldexp(np.rint(mantissa * steps) / steps, exponent))


def silent(array: np.ndarray, channel: int) -> np.ndarray:
    """One output channel is 0."""
    found = array.copy()
    found[..., channel] = 0
    return found


def reshaped(array: np.ndarray, _: Any) -> np.ndarray:
    """The buffer read as if it were in PyTorch's layout: reshaped, not transposed."""
    if array.ndim == 2:
        return array.reshape(array.shape[::-1]).T
    height, width, inputs, outputs = array.shape
    return array.reshape(outputs, inputs, height, width).transpose(2, 3, 1, 0)


def rows_permuted(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Rows of a dense kernel as for columns before rows in what was flattened."""
    return array.reshape(*shape, -1).swapaxes(0, 1).reshape(array.shape)


def roles_exchanged(first: str, second: str, least: float = -np.inf) -> OfSpec:
    """Two roles of a layer's weights for each other; the second is held above a least value."""

    def change(spec: Spec, name: str, _: Any) -> Spec:
        found = spec.layer(name).weights
        other = np.maximum(found[first], np.float32(least))
        return rebuilt(spec, name, weights={first: found[second], second: other})

    return each(change)


def twins_exchanged(spec: Spec, layers: Sequence[str], _: Any) -> Spec:
    """All weights of two layers of one shape for each other: of one and its twin by default."""
    first, *others = map(spec.layer, layers)
    second = others[0] if others else twin(spec, first) or first
    wrong = rebuilt(spec, first.name, weights=second.weights)
    return rebuilt(wrong, second.name, weights=first.weights)


def flattened_in_another_order(spec: Spec, name: str, _: Any) -> Spec:
    """The rows of a dense kernel as for channels before rows and columns in what was flattened."""
    layer = spec.layer(name)
    kernel, shape = layer.weights["kernel"], flattened(spec, layer)
    if shape is None:
        return spec
    other = kernel.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
    return rebuilt(spec, name, weights={"kernel": other})


def without_bias(spec: Spec, name: str, _: Any) -> Spec:
    """A layer that loses its bias."""
    layer = spec.layer(name)
    kept = {role: array for role, array in layer.weights.items() if role != "bias"}
    other = replace(layer, weights=kept, config={**layer.config, "use_bias": False})
    return _exchanged(spec, layer, [other])


def without_activation(spec: Spec, name: str, _: Any) -> Spec:
    """A layer that applies no activation, or one that was nothing else."""
    return _with_activation(spec, spec.layer(name), "linear")


def other_activation(spec: Spec, name: str, _: Any) -> Spec:
    """Another function in the place of an activation, or of a layer that is nothing else."""
    layer = spec.layer(name)
    return _with_activation(spec, layer, EXCHANGED.get(layer.activation, "elu"))


def without_ceiling(spec: Spec, name: str, _: Any) -> Spec:
    """A ReLU for one that stops at a value."""
    if spec.layer(name).kind == "ReLU":
        return rebuilt(spec, name, config={"max_value": None})
    return _with_activation(spec, spec.layer(name), "relu")


def _with_activation(spec: Spec, layer: Layer, function: str) -> Spec:
    """A layer with another activation, or that activation in the place of one that is no more."""
    other = {"activation": function}
    if "activation" in layer.config:
        return rebuilt(spec, layer.name, config=other)
    return _exchanged(spec, layer, [replace(layer, kind="Activation", config=other)])


def activation_twice(spec: Spec, name: str, _: Any) -> Spec:
    """An activation that is applied once more behind the layer."""
    layer = spec.layer(name)
    function = "softmax" if layer.kind == "Softmax" else layer.applied
    return behind("Activation", lambda _: {"activation": function})(spec, [name], None)


def shortcut_from_elsewhere(spec: Spec, name: str, _: Any) -> Spec:
    """A sum that reads what is before one of its sources, not the source."""
    layer = spec.layer(name)
    for own, other in sources_elsewhere(spec, layer):
        inputs = tuple(other if each == own else each for each in layer.inputs)
        return rebuilt(spec, name, inputs=inputs)
    return spec


def other_axis(spec: Spec, name: str, _: Any) -> Spec:
    """Softmax over the axis in front of the last one."""
    layer, other = spec.layer(name), {"axis": -2}
    if layer.kind == "Softmax":
        return rebuilt(spec, name, config=other)
    return rebuilt(spec, name, config={"activation": {"class_name": "Softmax", "config": other}})


def other_interpolation(spec: Spec, name: str, _: Any) -> Spec:
    """Bilinear for nearest, or the other way round."""
    own = spec.layer(name).config.get("interpolation", "nearest")
    other = "bilinear" if own == "nearest" else "nearest"
    return rebuilt(spec, name, config={"interpolation": other})


def other_pooling(spec: Spec, name: str, _: Any) -> Spec:
    """The average for the largest value, or the other way round."""
    kind = spec.layer(name).kind
    other = ("Average", "Max") if "Average" in kind else ("Max", "Average")
    return rebuilt(spec, name, kind=kind.replace(*other))


def padded_both_sides(spec: Spec, name: str, _: Any) -> Spec:
    """Padding of 1 on every side, as PyTorch's ``padding=1``."""
    layer = spec.layer(name)
    source = spec.layer(layer.inputs[0])
    config = {"padding": ((1, 1), (1, 1)), "data_format": "channels_last"}
    extra = replace(
        source,
        name=f"{name}_extra",
        kind="ZeroPadding2D",
        config=config,
        inputs=(source.name,),
        weights={},
    )
    valid = {**layer.config, "padding": "valid"}
    return _exchanged(spec, layer, [extra, replace(layer, inputs=(extra.name,), config=valid)])


def odd_pixels(spec: Spec, name: str, _: Any) -> Spec:
    """The 1x1 kernel at the far corner of a 2x2 window of stride 2: the odd pixels."""
    kernel = np.pad(spec.layer(name).weights["kernel"], [(1, 0), (1, 0), (0, 0), (0, 0)])
    window = {"kernel_size": (2, 2), "padding": "valid"}
    return rebuilt(spec, name, config=window, weights={"kernel": kernel})


def _exchanged(spec: Spec, layer: Layer, others: list[Layer]) -> Spec:
    """The spec with a layer's place taken by others."""
    found: list[Layer] = []
    for known in spec.layers:
        found += others if known.name == layer.name else [known]
    return replace(spec, layers=tuple(found))


def _exponent(weight: np.ndarray) -> np.ndarray:
    return (weight.view(np.uint32) ^ np.uint32(1 << 23)).view(np.float32)


EXCHANGED = {"sigmoid": "hard_sigmoid", "tanh": "sigmoid", "elu": "relu", "relu6": "relu"}
"""Activation to the one that may be taken for it."""

WEIGHTS: Mapping[str, OfSpec] = {
    "kernel-inputs-reversed": weights(
        lambda kernel, _: kernel[..., ::-1, :], "kernel", "depthwise_kernel"
    ),
    "kernel-times": weights(lambda kernel, by: kernel * by, "kernel", "depthwise_kernel"),
    "bias-weaker": weights(lambda bias, size: bias * (1 - size), "bias"),
    "kernel-axes-swapped": weights(
        lambda kernel, _: kernel.swapaxes(0, 1), "kernel", "depthwise_kernel"
    ),
    "kernel-ends-swapped": weights(lambda kernel, _: kernel.swapaxes(-1, -2), "kernel"),
    "kernel-reshaped": weights(reshaped, "kernel"),
    "kernel-rotated": weights(lambda kernel, _: kernel[::-1, ::-1], "kernel", "depthwise_kernel"),
    "kernel-rolled": weights(
        lambda kernel, _: np.roll(kernel, 1, axis=1), "kernel", "depthwise_kernel"
    ),
    "rows-permuted": weights(rows_permuted, "kernel"),
    "flatten-order": each(flattened_in_another_order),
    "twins-swapped": twins_exchanged,
    "epsilon": settings(lambda _, value: {"epsilon": value}),
    "epsilon-less": settings(lambda layer, size: {"epsilon": layer.config["epsilon"] * (1 - size)}),
    "gamma-beta-swapped": roles_exchanged("gamma", "beta"),
    "mean-variance-swapped": roles_exchanged("moving_mean", "moving_variance"),
    "mean-variance-swapped-above-0": roles_exchanged("moving_mean", "moving_variance", 0.0),
    "float16": weights(lambda array, _: array.astype(np.float16)),
    "float16-kernel": weights(lambda kernel, _: kernel.astype(np.float16), "kernel"),
    "rounded": weights(rounded),
    "kernel-rounded": weights(rounded, "kernel"),
    "decimals": weights(lambda kernel, digits: kernel.round(digits), "kernel"),
    "channel-silent": weights(silent, "kernel", "bias"),
    "one-weight": each(
        lambda spec, name, size: one_weight(spec, name, lambda weight: weight * (1 + size))
    ),
    "weight-exponent": each(lambda spec, name, _: one_weight(spec, name, _exponent)),
    "channel-times": weights(one_channel, "bias", "moving_variance"),
    "channels-reversed": weights(lambda array, _: array[..., ::-1] if array.ndim else array),
    "noise": noisy,
    "classes-rolled": weights(lambda array, _: np.roll(array, 1, axis=-1), "kernel", "bias"),
    "classes-exchanged": weights(
        lambda array, _: np.concatenate([array[..., 1::-1], array[..., 2:]], -1), "kernel", "bias"
    ),
}
"""Name to a way of misreading weights, or the epsilon that they are used with."""

LAYERS: Mapping[str, OfSpec] = {
    "rescaled": behind("Rescaling", lambda by: {"scale": by[0], "offset": by[1]}),
    "padded-both-sides": each(padded_both_sides),
    "odd-pixels": each(odd_pixels),
    "bias-lost": each(without_bias),
    "left-out": becomes("Activation", lambda layer, _: {"activation": "linear"}),
    "leaky": becomes("LeakyReLU", lambda _, slope: {"negative_slope": slope}),
    "slope": settings(
        lambda layer, size: {
            "negative_slope": (1 + size)
            * layer.config.get("negative_slope", layer.config.get("alpha", 0.3))
        }
    ),
    "activation-exchanged": each(other_activation),
    "activation-twice": each(activation_twice),
    "ceiling-lost": each(without_ceiling),
    "activation-missing": each(without_activation),
    "reads": each(lambda spec, name, value: rebuilt(spec, name, inputs=tuple(value))),
    "shortcut-elsewhere": each(shortcut_from_elsewhere),
    "one-side-of-sum": each(
        lambda spec, name, kept: rebuilt(spec, name, inputs=(spec.layer(name).inputs[kept],))
    ),
    "inputs-reversed": each(
        lambda spec, name, _: rebuilt(spec, name, inputs=spec.layer(name).inputs[::-1])
    ),
    "pool-kind": each(other_pooling),
    "gelu-by-tanh": settings(
        lambda *_: {"activation": {"class_name": "GELU", "config": {"approximate": True}}}
    ),
    "resize-kind": each(other_interpolation),
    "softmax-axis": each(other_axis),
}
"""Name to a way of misreading layers."""
