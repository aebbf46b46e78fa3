"""The activations that a layer may apply itself, by name or as a layer within its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conversion.core.errors import UserError
from conversion.core.spec import Shape
from conversion.readers.older_versions import OLDER

ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish"),
    *("mish", "glu", "exponential", "softplus", "softsign", "squareplus", "sigmoid", "tanh"),
    *("hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "hard_shrink", "soft_shrink"),
    *("tanh_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax", "log_sigmoid"),
    *("softmax", "log_softmax"),
)
"""Activations by name that every route knows, with Keras's default parameters: all of Keras's but
`threshold`, which by name alone lacks its two arguments, so that Keras cannot run it either."""

ACTIVATION_LAYERS = ("ReLU", "LeakyReLU", "ELU", "Softmax")
"""Layers without weights that may stand in place of a name, with their parameters."""

ACTIVE: Mapping[str, tuple[Any, ...]] = {
    "activation": ("linear", None, *ACTIVATIONS, *OLDER.values())
}
"""For `LayerRule.allowed` of a layer that applies an activation."""


def activation_layer(setting: Any) -> tuple[str, Mapping[str, Any]] | None:
    """Class and settings of a layer that stands where an activation's name may stand.

    Args:
        setting: what a layer's settings say under ``activation``.

    Returns:
        None where the setting is no such layer.
    """
    if not isinstance(setting, Mapping) or setting.get("class_name") not in ACTIVATION_LAYERS:
        return None
    return setting["class_name"], setting["config"]


def activated(setting: Any, shape: Shape) -> Shape:
    """The shape behind an activation: ``glu`` halves the last axis, all others leave it.

    Keras itself states the shape as if ``glu`` left it too, so no layer with weights can follow.

    Args:
        setting: what a layer's settings say under ``activation``.
        shape: the shape before it.

    Raises:
        UserError: an odd size is to be halved, or an open one.
    """
    if setting != "glu":
        return shape
    size = shape[-1] if shape else None
    if not size or size % 2:
        raise UserError(f"glu halves the last axis, which has {size} values.")
    return (*shape[:-1], size // 2)
