"""What the suite knows of each Keras layer: weights, output shape, cost, supported settings.

This is the reader's half of a layer. The float64 truth and the PyTorch builder hold the other
two, each written on its own so that a slip in one cannot hide in another.
"""

from __future__ import annotations

from conversion.core.custom_layers import Custom
from conversion.core.layer_rule import LayerRule
from conversion.readers import (
    schema_applications,
    schema_borders,
    schema_by_keras,
    schema_elementwise,
    schema_normalization,
    schema_pooling,
    schema_reshaping,
    schema_windows,
)

LAYERS: dict[str, LayerRule] = {
    "InputLayer": LayerRule(),
    **schema_windows.LAYERS,
    **schema_pooling.LAYERS,
    **schema_borders.LAYERS,
    **schema_elementwise.LAYERS,
    **schema_normalization.LAYERS,
    **schema_reshaping.LAYERS,
    **schema_applications.LAYERS,
}
"""Every layer class that all three registries know, by its Keras name."""

BY_KERAS = schema_by_keras.by_keras(LAYERS)
"""Those whose truth is Keras's own arithmetic in float64."""


def rules_with(custom: Custom) -> dict[str, LayerRule]:
    """The rules of all layer classes, the user's own among them."""
    return {**LAYERS, **BY_KERAS, **custom.rules}
