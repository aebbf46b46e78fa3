"""What eight bits cost at every layer of an int8 artifact, and which layer does the damage."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conversion import truth
from conversion.checks import sqnr
from conversion.checks.folding import folded
from conversion.checks.sqnr import LayerSqnr
from conversion.measurement import Measurement
from conversion.spec import Spec
from conversion.taps.alignment import Place
from conversion.taps.kernels import kernel
from conversion.taps.opened import Tapped, Taps, open_taps
from conversion.verification.case import Case
from conversion.verification.layers import own_truth

IMAGES = 64
"""Images that the damage is measured on: it is ranked, not judged."""


def layer_sqnr(case: Case) -> list[Measurement]:
    """Every layer's own quantization noise lies far enough below its signal."""
    taps = open_taps(case.name, case.artifact, case.workspace.spec, case.workspace.threads)
    inputs = {name: a[:IMAGES] for name, a in case.workspace.layers.inputs.items()}
    tapped = taps.layers(inputs)
    found, odd = list[LayerSqnr](), ""
    for name, value in tapped.layers.items():
        exact = case.workspace.layers.truth[name][:IMAGES]
        if value.shape != exact.shape or not np.isfinite(value).all():
            what = "has NaN or Inf" if value.shape == exact.shape else f"has shape {value.shape}"
            odd = odd or f"{name} {what}; the truth has shape {exact.shape}"
            continue
        if taps.alignment.places[name].operations or len(taps.alignment.places[name].group) > 1:
            found.append(_layer(case, taps, tapped, inputs, name, exact))
    return sqnr.layer_sqnr(case.about, found, odd, taps.another, IMAGES)


def _layer(
    case: Case,
    taps: Taps,
    tapped: Tapped,
    inputs: Mapping[str, np.ndarray],
    name: str,
    exact: np.ndarray,
) -> LayerSqnr:
    value, place = tapped.layers[name], taps.alignment.places[name]
    own = own_truth(case.workspace.spec, taps.alignment, tapped.layers, name, inputs)
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
        layer = spec.layer(member)
        operations = taps.alignment.places[member].operations
        stored = next((o.constants for o in operations if "kernel" in o.constants), None)
        if "kernel" not in layer.weights or stored is None:
            continue
        axis = 1 if layer.kind == "Dense" else 0
        after = [spec.layer(n) for n in place.group[place.group.index(member) + 1 :]]
        linear = [each for each in after if each.kind in ("BatchNormalization", "Rescaling")]
        wanted, _ = folded(kernel(layer), layer.weights.get("bias"), linear, axis)
        real = _dequantized(stored, axis)
        return sqnr.sqnr(wanted, real) if real.shape == wanted.shape else None
    return None


def _dequantized(stored: Mapping[str, np.ndarray], axis: int) -> np.ndarray:
    value = stored["kernel"].astype(np.float64)
    if "kernel_scale" not in stored:
        return value
    shape = [1] * value.ndim
    shape[axis] = -1
    scale, zero = (
        np.asarray(stored[role], np.float64).reshape(shape if np.size(stored[role]) > 1 else ())
        for role in ("kernel_scale", "kernel_zero_point")
    )
    return np.asarray((value - zero) * scale)


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
