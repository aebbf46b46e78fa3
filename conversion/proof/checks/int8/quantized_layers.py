"""What eight bits cost at every layer of an int8 artifact, and which layer does the damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile

import numpy as np

from conversion.core.measurement import Measurement
from conversion.core.spec import Spec
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.litert_rewrites import clamped, rewritten
from conversion.proof.checks.layers import own_truth
from conversion.proof.metrics import sqnr
from conversion.proof.metrics.folding import along, folded
from conversion.proof.metrics.sqnr import LayerSqnr
from conversion.proof.taps.alignment import Place
from conversion.proof.taps.kernels import kernels, output_axis
from conversion.proof.taps.stages import is_affine
from conversion.proof.taps.tapped_graph import Tapped, Taps, open_taps

IMAGES = 64
"""Images that the damage is measured on: it is ranked, not judged."""


def layer_sqnr(case: Case) -> list[Measurement]:
    """Every layer's own quantization noise lies far enough below its signal."""
    taps = open_taps(case.name, case.artifact, case.workspace.spec, case.workspace.threads)
    inputs = {name: a[:IMAGES] for name, a in case.workspace.layers.inputs.items()}
    tapped = taps.layers(inputs)
    found, odd, spec = list[LayerSqnr](), "", case.workspace.spec
    unjudged = _unjudged(spec, taps) - {*spec.outputs} if case.name == "litert-int8" else ()
    seen = {name: value for name, value in tapped.layers.items() if name not in unjudged}
    sizes = {name: case.workspace.layers.truth[name].shape[1:] for name in seen}
    others = [name for name, value in seen.items() if value.shape[1:] != sizes[name]]
    unlike = "".join(
        f"not found: {name} has shape {seen[name].shape[1:]}; the truth has shape {sizes[name]}"
        for name in others[:1]
    )
    seen = {name: value for name, value in seen.items() if name not in others}
    tapped = replace(tapped, layers=seen)
    for name, value in seen.items():
        exact = case.workspace.layers.truth[name][:IMAGES]
        if not np.isfinite(value).all():
            odd = odd or f"{name} has NaN or Inf"
            continue
        place = taps.alignment.places[name]
        if place.operations or len(place.group) > 1 or place.note.startswith("no operation"):
            found.append(_layer(case, taps, tapped, inputs, name, exact))
    return sqnr.layer_sqnr(case.about, found, odd, taps.another, IMAGES, unlike)


def _unjudged(spec: Spec, taps: Taps) -> set[str]:
    """Layers of a LiteRT file whose tensors hold less than their output, and none that is read."""
    seen = taps.alignment.seen().items()
    places = {place.tensors[0]: (name, False) for name, place in seen}
    kept = clamped(taps.graph, places)
    return {*rewritten(spec), *(p[0] for tensor, p in places.items() if kept.get(tensor) != p)}


def _layer(
    case: Case,
    taps: Taps,
    tapped: Tapped,
    inputs: Mapping[str, np.ndarray],
    name: str,
    exact: np.ndarray,
) -> LayerSqnr:
    value, place = tapped.layers[name], taps.alignment.places[name]
    own = own_truth(case.workspace.spec, place.group, tapped.layers, name, inputs)
    return LayerSqnr(
        layer="+".join(place.group),
        reached=sqnr.sqnr(exact, value),
        own=sqnr.sqnr(own, value),
        weights=_weights(case.workspace.spec, taps, place),
        damage=_damage(case, name, exact + (value - own)),
    )


def _weights(spec: Spec, taps: Taps, place: Place) -> float | None:
    """SQNR of a stored kernel against the spec's, with what is folded into it."""
    for member in place.group:
        layer, known = spec.layer(member), taps.alignment.places[member]
        stored = [o.constants for o in known.operations if "kernel" in o.constants]
        if not kernels(layer) or len(stored) != len(kernels(layer)):
            continue
        axis = output_axis(layer)
        after = [spec.layer(n) for n in place.group[place.group.index(member) + 1 :]]
        chain = list(takewhile(is_affine, after))
        wanted, _ = folded(kernels(layer)[-1], layer.weights.get("bias"), chain, axis)
        factor = known.factor if len(stored) == 1 else 1.0
        real = _dequantized(stored[-1], axis)
        fits = real.shape == wanted.shape and bool(np.isfinite(real).all())
        return sqnr.sqnr(wanted * factor, real) if fits else None
    return None


def _dequantized(stored: Mapping[str, np.ndarray], axis: int) -> np.ndarray:
    value = stored["kernel"].astype(np.float64)
    if "kernel_scale" not in stored:
        return value
    scale, zero = (
        each.reshape(()) if each.size == 1 else along(each.reshape(-1), value.ndim, axis)
        for each in (
            np.asarray(stored[role], np.float64) for role in ("kernel_scale", "kernel_zero_point")
        )
    )
    try:
        return np.asarray((value - zero) * scale)
    except ValueError:  # scales of another axis, which `quantized_scales` says
        return np.full(value.shape, np.nan)


def _damage(case: Case, layer: str, perturbed: np.ndarray) -> float:
    """How far the outputs move where one layer alone has its quantization noise."""
    spec, reference = case.workspace.spec, case.workspace.layers
    below = {layer}
    for each in spec.layers:
        if below & set(each.inputs):
            below.add(each.name)
    given = {name: a[:IMAGES] for name, a in reference.truth.items() if name not in below}
    found = truth.evaluate(spec, {}, spec.outputs, {**given, layer: perturbed}).layers
    moved, spread = 0.0, 0.0
    for name in spec.outputs:
        ours, theirs = reference.truth[name][:IMAGES], found[name]
        moved += float(((theirs - ours) ** 2).mean())
        spread += float(ours.var(axis=0).mean())
    return float(np.sqrt(moved / max(spread, 1e-300)))
