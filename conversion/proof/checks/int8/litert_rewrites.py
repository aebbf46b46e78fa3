"""What TensorFlow's converter does to a network beside quantizing it, where checks must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from conversion.core.measurement import Measurement, Verdict
from conversion.core.spec import Spec
from conversion.proof.taps.ahead import following
from conversion.proof.taps.graph import Graph
from conversion.proof.taps.stages import is_affine

Place = tuple[str, bool]
"""A layer, and whether it is meant as it is before its own activation."""

OVERWRITING = ("sum", "product", "scale", "shift")
"""Kinds of operators that are written over what they read."""


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


def clamped(graph: Graph, places: Mapping[str, Place]) -> dict[str, Place]:
    """What tensors hold in a LiteRT file where an operand has its result's scale.

    So have those of a maximum, of a minimum and of a choice, whose results hold all that matters
    of them.

    Args:
        graph: the file's network.
        places: tensor to the layer that it holds.

    Returns:
        The same with such operands in the place of their result, and without those whose result
        is inside a layer.
    """
    kept = dict(places)
    for each in reversed(graph.operations):
        if "select" in each.applies:
            for name in each.reads:
                if each.writes in kept:
                    kept[name] = kept[each.writes]
                else:
                    kept.pop(name, None)
    return kept


def tied(graph: Graph, places: Mapping[str, Place]) -> tuple[dict[str, Place], dict[str, str]]:
    """How the ranges of tensors hang together in a LiteRT file.

    The operands of a concatenation have the scale that holds them all. A sum, a product, a scale or
    a shift is written over the first operand that nothing else reads, and TensorFlow 2.21 records
    its inputs once more afterwards: such an operand has the result's range too
    (tensorflow/tensorflow#127842).

    Args:
        graph: the file's network.
        places: tensor to the layer that it holds.

    Returns:
        What `clamped` gives without those of which nothing can be said, and tensor to the tensor
        whose values it had as well.
    """
    readers, kept, also = graph.readers(), clamped(graph, places), dict[str, str]()
    for each in graph.operations:
        if each.kind == "concat":
            also |= dict.fromkeys(each.reads, each.writes)
        elif each.kind in OVERWRITING and len(set(each.reads)) == len(each.reads):
            name = next((n for n in each.reads if len(readers[n]) == 1), "")
            if name and each.writes in kept:
                also.setdefault(name, each.writes)
            else:
                kept.pop(name, None)
    return kept, also
