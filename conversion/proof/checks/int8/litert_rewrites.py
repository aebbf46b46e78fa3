"""What TensorFlow's converter does to a network beside quantizing it, where checks must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from conversion.core.measurement import Measurement, Verdict
from conversion.core.spec import Spec
from conversion.proof.taps.ahead import following
from conversion.proof.taps.stages import is_affine


def honest(measured: list[Measurement], unjudged: Mapping[str, str]) -> list[Measurement]:
    """Measurements of weights, undecided where some were not judged, which is said.

    Args:
        measured: of the others.
        unjudged: the layers that were not, and why.
    """
    named: dict[str, list[str]] = {}
    for layer, why in unjudged.items():
        named.setdefault(why, []).append(layer)
    said = "; ".join(f"{', '.join(layers)}: {why}" for why, layers in named.items())
    return [
        replace(m, verdict=Verdict.UNDECIDED, reason=f"not judged: {said}")
        if said
        and m.name != "quantized_unchecked"
        and (m.verdict is Verdict.PASS or m.value is None)
        else m
        for m in measured
    ]


def rewritten(spec: Spec) -> dict[str, str]:
    """Layers whose weights the converter merges with arithmetic around them, and why.

    What it makes of them is not followed here: nothing of such a layer is judged but its values.
    """
    found, after = dict[str, str](), following(spec)
    for layer in spec.layers:
        if len(layer.inputs) != 1:
            continue
        before, readers = spec.layer(layer.inputs[0]), after[layer.name]
        if layer.activation == "hard_sigmoid":
            why = "the converter multiplies constants of hard_sigmoid into the weights around it"
            found |= dict.fromkeys((before.name, layer.name, *(r.name for r in readers)), why)
        plain = is_affine(layer) and before.kind == "Dense" and before.activation == "linear"
        if plain and readers and all(each.kind == "Dense" for each in readers):
            why = f"the converter multiplies {layer.name} into the layer that follows it"
            found |= dict.fromkeys((before.name, layer.name, *(r.name for r in readers)), why)
    return found
