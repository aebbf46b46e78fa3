"""What a Keras layer becomes in a network: the kinds of operations, in order, that compute it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from conversion.core.spec import Layer
from conversion.proof.taps.graph import ACTIVATIONS, POOLS
from conversion.proof.taps.kernels import kernels


@dataclass(frozen=True)
class Stage:
    """One operation of a layer.

    Attributes:
        kinds: those that may compute it, the right one first; another one is a fault to be seen
            in its values, not a reason to lose the way.
        needed: whether a layer without it is incomplete.
        shape: of its kernel, ``(O, I, H, W)`` or ``(in, out)``; empty where it has none.
        ends: where several operations may compute it, the kinds that end it: `spread` has the rule.
    """

    kinds: tuple[str, ...]
    needed: bool = True
    shape: tuple[int, ...] = ()
    ends: tuple[tuple[str, ...], ...] = ()


AFFINE = ("scale", "shift", "norm")
"""Kinds that BatchNormalization and its kin become, alone or one after another."""

MERGES = {
    "Add": "sum",
    "Subtract": "sum",
    "Average": "sum",
    "Multiply": "product",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Dot": "dense",
    "Concatenate": "concat",
    "CustomScaleLayer": "sum",
}

_CHOICES = {
    "MaxPooling": "max_pool",
    "AveragePooling": "average_pool",
    "GlobalAveragePooling": "global_average",
    "GlobalMaxPooling": "global_max",
}
_NAMED = {
    "relu": "relu",
    "relu6": "clip",
    "leaky_relu": "leaky_relu",
    "sigmoid": "sigmoid",
    "softmax": "softmax",
    "tanh": "tanh",
    "log_softmax": "log_softmax",
    "LeakyReLU": "leaky_relu",
    "Softmax": "softmax",
}
_ENDS = {
    **dict.fromkeys(("gelu", "silu", "swish", "hard_silu", "hard_swish", "mish", "glu"), "product"),
    **dict.fromkeys(("celu", "hard_shrink", "soft_shrink", "tanh_shrink", "sparse_plus"), "sum"),
    **dict.fromkeys(("sparse_sigmoid", "PReLU", "ELU"), "sum"),
    **dict.fromkeys(("squareplus", "hard_sigmoid"), "scale"),
    "softsign": "product",
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), "sum"),
    "UnitNormalization": "product",
}
"""Activation or layer to the kind of its last operation, where a converter knows it by several."""

_SEVERAL: dict[str, tuple[tuple[str, ...], ...]] = {
    "hard_tanh": (("clip", "clip"), ("clip",), ("other",)),
    "log_sigmoid": (("other", "other", "other"), ("other",)),
    "sparsemax": (("clip",), ("other",)),
}
"""The same for those that end in a chain."""

_ALONE = ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")
UNSEEN = ("Permute",)
"""Layers that are not compared: converters merge their transpose with those that they add."""

_NORMS = ("LayerNormalization", "GroupNormalization", "UnitNormalization")


def stages(layer: Layer) -> list[Stage]:
    """The operations of a layer in order, its own activation last; none for what only moves."""
    found: list[Stage] = []
    window = layer.kind.removesuffix("1D").removesuffix("2D")
    if kernels(layer):
        kind = "dense" if layer.kind == "Dense" else "conv"
        found += [Stage((kind,), shape=each.shape) for each in kernels(layer)]
        if _is_cut(layer):
            found += [Stage(("crop",), needed=False), Stage(("pad",), needed=False)]
        found.append(Stage(("shift",), needed=False))
    elif window in _CHOICES:
        found.append(Stage(_preferring(_CHOICES[window], POOLS)))
    elif window == "ZeroPadding":
        found.append(Stage(("pad",), needed=False))
    elif window == "Cropping":
        found.append(Stage(("crop",), needed=any(np.ravel(layer.config["cropping"]))))
    elif window == "UpSampling":
        larger = bool(np.max(layer.config["size"]) > 1)
        found += [Stage(("resize", "tile"), needed=larger), Stage(("tile",), needed=False)]
    elif layer.kind in ("Average", "LayerScale"):
        found.append(Stage(("scale",), needed=False))
    elif layer.kind == "Resizing":
        found.append(Stage(("resize", "other")))
    elif layer.kind == "RepeatVector":
        found.append(Stage(("tile", "other")))
    elif layer.kind in _NORMS:
        found.append(Stage(("other",), ends=((_ENDS[layer.kind],), ("other",))))
    activation = _activation(layer)
    return [*found, activation] if activation else found


def _is_cut(layer: Layer) -> bool:
    """Whether converters compute more or less than the layer's output and bring it to size."""
    both = all(
        max(np.ravel(layer.config.get(key) or 1)) > 1 for key in ("strides", "dilation_rate")
    )
    return layer.kind == "Conv1DTranspose" or both


def last_factor(layer: Layer) -> float:
    """The constant that a layer multiplies with last; 1 where there is none."""
    if layer.kind == "Average":
        return 1 / len(layer.inputs)
    return 0.5 if layer.activation == "squareplus" else 1.0


def is_affine(layer: Layer) -> bool:
    """Whether the layer multiplies and adds constants, and may be folded into its neighbour."""
    return layer.kind in ("BatchNormalization", "Rescaling", "Normalization")


def affine_kinds(layer: Layer) -> tuple[str, ...]:
    """The kinds of a layer of constants; a Rescaling by 1 or without an offset has but one."""
    if layer.kind != "Rescaling":
        return AFFINE
    scale, offset = (layer.config.get(key, usual) for key, usual in (("scale", 1.0), ("offset", 0)))
    if np.array_equal(scale, 1.0) and not np.array_equal(offset, 0):
        return tuple(kind for kind in AFFINE if kind != "scale")
    if np.array_equal(offset, 0) and not np.array_equal(scale, 1.0):
        return tuple(kind for kind in AFFINE if kind != "shift")
    return AFFINE


def _activation(layer: Layer) -> Stage | None:
    inner = layer.applied
    name, config = (layer.kind, layer.config) if layer.kind in _ALONE else (layer.activation, {})
    if isinstance(inner, Mapping):
        config = inner["config"]
    if name == "linear":
        return None
    if name == "ReLU":
        if config.get("threshold") or config.get("negative_slope"):
            bent = ("sum", "threshold_relu", "leaky_relu", "other")
            return Stage(_preferring(bent[1], ACTIVATIONS), ends=tuple((kind,) for kind in bent))
        name = "relu" if config.get("max_value") is None else "relu6"
    axis = config.get("axis", -1)
    together = name == "Softmax" and not isinstance(axis, int) and len(axis) > 1
    kind = "other" if together else _NAMED.get(name, "other")
    ends = _SEVERAL.get(name, ((_ENDS.get(name, "other"),), ("other",)))
    return Stage(_preferring(kind, ACTIVATIONS), ends=ends if kind == "other" else ())


def _preferring(first: str, all_kinds: tuple[str, ...]) -> tuple[str, ...]:
    return (first, *(kind for kind in all_kinds if kind != first))


def first_kinds(layer: Layer) -> tuple[str, ...]:
    """Kinds of the first operation of a layer; empty where it only moves elements."""
    if layer.kind in MERGES:
        return (MERGES[layer.kind],)
    if is_affine(layer):
        return AFFINE
    return next((stage.kinds for stage in stages(layer)), ())
