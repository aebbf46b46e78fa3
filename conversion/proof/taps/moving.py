"""Layers whose output holds the elements of their input, in whatever order."""

from __future__ import annotations

from conversion.core.spec import Layer
from conversion.readers.schema_elementwise import TRAINING_ONLY


def moves(layer: Layer) -> bool:
    """Whether a layer only moves elements, or does nothing."""
    return layer.kind in MOVES or (layer.kind == "Activation" and layer.activation == "linear")


MOVES = ("Flatten", "Reshape", "Permute", "StochasticDepth", *TRAINING_ONLY)
"""Layers that only move elements, or do nothing."""
