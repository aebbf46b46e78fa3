"""Layers that eight bits would ruin, and that are left in float by rule.

A normalization that is folded into no kernel, as behind a ReLU, multiplies by a constant of one
factor a channel. ONNX Runtime and LiteRT quantize it with one scale: beside channels that hardly
vary, whose factors are 1 / sqrt(epsilon), all others come to 0. What measures its input at run time
is many operators in a file, each of which is rounded, the squares too.

TensorFlow's converter gives what a maximum or a minimum reads the range of its result. What that
cuts off does not count for the result, but for whatever else reads the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from conversion.core.settings import Settings
from conversion.core.spec import KERNELS, Layer, Spec
from conversion.quantization.coverage import OF_ONE_RANGE
from conversion.readers.schema_elementwise import TRAINING_ONLY

STEPS = 8
"""Steps that a factor needs: 6 % of it is lost at most."""
SHARE = 0.1
"""Of the channel that gives most: one that gives less does not matter."""
LEVELS = 127

MEASURING = ("LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization")
"""PyTorch computes them in float too (`coverage.WITHOUT_KERNEL`)."""

CHOOSING = ("Maximum", "Minimum")
MOVING = (
    *("Flatten", "Reshape", "Permute", "RepeatVector", "ZeroPadding", "Cropping", "UpSampling"),
    *("Resizing", "MaxPooling", "GlobalMaxPooling", "AveragePooling"),
)
"""How the classes begin whose LiteRT operators have one scale for what they read and give."""


def with_rules(spec: Spec, settings: Settings) -> Settings:
    """The choices, with the layers in float that a scheme leaves so by rule.

    Args:
        spec: the model.
        settings: the choices.
    """
    apart = uneven(spec)
    both = [each.name for each in spec.layers if _measures(each) or each.name in apart]
    litert = {*both, *cutting(spec)}

    def added(chosen: tuple[str, ...], stay: Collection[str]) -> tuple[str, ...]:
        by_rule = (each.name for each in spec.layers if each.name in stay)
        return tuple(dict.fromkeys((*chosen, *by_rule)))

    return replace(
        settings,
        onnx=replace(settings.onnx, float_layers=added(settings.onnx.float_layers, both)),
        litert=replace(settings.litert, float_layers=added(settings.litert.float_layers, litert)),
    )


def _measures(layer: Layer) -> bool:
    return layer.kind in MEASURING or bool(layer.kind == "Dot" and layer.config.get("normalize"))


def cutting(spec: Spec) -> list[str]:
    """The maxima and minima that read what another layer, or the user, reads as well.

    Args:
        spec: the model.
    """
    readers = Counter(name for each in spec.layers for name in each.inputs)
    readers.update(spec.outputs)

    def is_shared(name: str) -> bool:
        layer = spec.layer(name)
        return readers[name] > 1 or (_keeps_range(layer) and any(map(is_shared, layer.inputs)))

    return [
        each.name
        for each in spec.layers
        if each.kind in CHOOSING and any(map(is_shared, each.inputs))
    ]


def _keeps_range(layer: Layer) -> bool:
    """Whether what a layer reads has the range of what it gives in a LiteRT file."""
    return layer.kind in (*OF_ONE_RANGE, *TRAINING_ONLY) or layer.kind.startswith(MOVING)


def uneven(spec: Spec) -> list[str]:
    """The normalizations that have a factor of a few steps which matters, and stand alone.

    Args:
        spec: the model.
    """
    return [
        layer.name
        for layer in spec.layers
        if layer.kind == "BatchNormalization" and _is_uneven(layer) and not _is_folded(spec, layer)
    ]


def _is_uneven(layer: Layer) -> bool:
    spread = np.sqrt(np.float64(layer.weights["moving_variance"]))
    factors = np.abs(np.float64(layer.weights.get("gamma", 1.0)))
    factors = factors / np.sqrt(spread**2 + layer.config["epsilon"])
    given = factors * spread
    few = factors < STEPS * factors.max() / LEVELS
    return bool(np.any(few & (given >= SHARE * given.max())))


def _is_folded(spec: Spec, layer: Layer) -> bool:
    """Whether it alone reads a layer with a kernel and no activation."""
    before = spec.layer(layer.inputs[0])
    readers = [each for each in spec.layers if before.name in each.inputs]
    has_kernel = any(role in before.weights for role in KERNELS)
    return has_kernel and before.activation == "linear" and len(readers) == 1
