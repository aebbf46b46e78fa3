"""Layers that eight bits would ruin, and that are left in float by rule.

A normalization that is folded into no kernel, as behind a ReLU, multiplies by a constant of one
factor a channel. ONNX Runtime and LiteRT quantize it with one scale: beside channels that hardly
vary, whose factors are 1 / sqrt(epsilon), all others come to 0. LiteRT multiplies them into the
kernel behind it, whose channels then have that scale. What measures its input at run time is many
operators in a file, each of which is rounded, the squares too; so are some activations. The product
by its factors has a range of its own there, before the shift: where means are many times the
spread, that range is many times the result's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conversion.core.settings import Settings
from conversion.core.spec import KERNELS, Layer, Spec
from conversion.readers.schema_elementwise import TRAINING_ONLY

STEPS = 8
"""Steps that a factor needs: 6 % of it is lost at most."""
SHARE = 0.1
"""Of the channel that gives most: one that gives less does not matter."""
LEVELS = 127

FOLDED_IN_ONNX = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv3D")
"""Classes into whose kernel ONNX Runtime folds the normalization behind: one along a single axis is
a Conv and a Squeeze there, which keeps them apart."""

WIDE = 8.0
"""Times the result's range that the product before the shift may span: three of the eight bits."""
DEVIATIONS = 4.0
"""Standard deviations that a normalized channel spans to either side."""

STATISTICS = {"BatchNormalization": "moving_variance", "Normalization": "variance"}
"""Class to its weight that says how far channels vary."""

LEAST = 1e-7
"""Keras's Normalization divides by no less."""

MEASURING = ("LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization")
"""PyTorch computes them in float too (`coverage.WITHOUT_KERNEL`)."""

SPANNING = ("exponential", "sparse_plus", "sparsemax")
"""Activations whose values in between eight bits cannot hold. They are rare, so that their kernels
may stay in float with them; of others LiteRT leaves the activation alone (`LITERT_SPANNING`)."""

SQUARING = "squareplus"
"""Another, whose squares eight bits hold worse than need be: 16.5 dB of an ideal 22.9. Its layer
stays in float where another one multiplies in integers."""


def with_rules(spec: Spec, settings: Settings) -> Settings:
    """The choices, with the layers in float that a scheme leaves so by rule.

    Args:
        spec: the model.
        settings: the choices.
    """
    lossy = uneven_or_wide(spec)
    alone = [name for name in lossy if not _is_folded(spec, spec.layer(name))]
    alone += [taker for name in alone for taker in _takers(spec, name)]

    squaring = {each.name for each in spec.layers if each.activation == SQUARING}

    def added(chosen: tuple[str, ...], lossy: list[str]) -> tuple[str, ...]:
        stay = {
            each.name
            for each in spec.layers
            if _measures(each) or each.activation in SPANNING or each.name in lossy
        }
        integer = {each.name for each in spec.layers if _has_kernel(each)} - stay - {*chosen}
        if integer - squaring:
            stay |= squaring
        ordered = (each.name for each in spec.layers if each.name in stay)
        return tuple(dict.fromkeys((*chosen, *ordered)))

    onnx, litert = settings.onnx, settings.litert
    return replace(
        settings,
        onnx=replace(onnx, float_layers=added(onnx.float_layers, lossy)),
        litert=replace(litert, float_layers=added(litert.float_layers, alone)),
    )


def _measures(layer: Layer) -> bool:
    return layer.kind in MEASURING or bool(layer.kind == "Dot" and layer.config.get("normalize"))


def _takers(spec: Spec, name: str) -> list[str]:
    """The layers whose kernels take over a normalization in LiteRT, however its values are moved.

    A kernel has a scale for each channel that it gives, and none for those that it reads.
    """
    found = []
    for layer in spec.layers:
        if name not in layer.inputs:
            continue
        if _has_kernel(layer):
            found.append(layer.name)
        elif layer.kind in TRAINING_ONLY:
            found += _takers(spec, layer.name)
    return found


def uneven_or_wide(spec: Spec) -> list[str]:
    """The normalizations that lose too much in ONNX, where they are not folded.

    Either a factor that matters has a few steps, or the product spans many times what they give.
    LiteRT's converter folds them into whatever has a kernel.

    Args:
        spec: the model.
    """
    return [
        layer.name
        for layer in spec.layers
        if layer.kind in STATISTICS
        and (_is_uneven(layer) or _is_wide(layer))
        and not (_is_folded(spec, layer) and spec.layer(layer.inputs[0]).kind in FOLDED_IN_ONNX)
    ]


def _is_uneven(layer: Layer) -> bool:
    weights = layer.weights
    if STATISTICS[layer.kind] not in weights or layer.config.get("invert"):
        return False
    spread = np.sqrt(np.float64(weights[STATISTICS[layer.kind]]))
    factors = np.abs(np.float64(weights.get("gamma", 1.0)))
    factors = factors / np.maximum(np.sqrt(spread**2 + layer.config.get("epsilon", 0.0)), LEAST)
    given = factors * spread
    few = factors < STEPS * factors.max() / LEVELS
    return bool(np.any(few & (given >= SHARE * given.max())))


def _is_wide(layer: Layer) -> bool:
    if layer.kind != "BatchNormalization":
        return False
    mean, variance, gamma, beta = (
        np.float64(layer.weights.get(name, default))
        for name, default in (
            *(("moving_mean", 0.0), ("moving_variance", 1.0)),
            *(("gamma", 1.0), ("beta", 0.0)),
        )
    )
    size = np.abs(gamma)
    away = size * np.abs(mean) / np.sqrt(variance + layer.config.get("epsilon", 0.0))
    product, result = (each + DEVIATIONS * size for each in (away, np.abs(beta)))
    return bool(product.max() > WIDE * result.max())


def _is_folded(spec: Spec, layer: Layer) -> bool:
    """Whether it alone reads a layer with a kernel and no activation, and tf2onnx folds it."""
    before = spec.layer(layer.inputs[0])
    readers = [each for each in spec.layers if before.name in each.inputs]
    alone = _has_kernel(before) and before.activation == "linear" and len(readers) == 1
    return alone and layer.kind == "BatchNormalization"


def _has_kernel(layer: Layer) -> bool:
    return any(role in layer.weights for role in KERNELS)
