"""What eight bits cost at every layer of an int8 artifact, and which layer does the damage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np

from conversion.backends import Capability
from conversion.core.measurement import Measurement
from conversion.core.spec import Spec
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.checks.layers import own_truth
from conversion.proof.metrics import sqnr
from conversion.proof.metrics.folding import along, folded
from conversion.proof.metrics.sqnr import LayerSqnr
from conversion.proof.taps.alignment import Alignment, align
from conversion.proof.taps.kernels import kernels, output_axis
from conversion.proof.taps.moving import moves
from conversion.proof.taps.opened import open_taps
from conversion.proof.taps.stages import is_affine

IMAGES = 64
"""Images that the damage is measured on: it is ranked, not judged."""


def layer_sqnr(case: Case) -> list[Measurement]:
    """Every layer's own quantization noise lies far enough below its signal."""
    case.require_map()
    workspace, spec = case.workspace, case.workspace.spec
    inputs = {name: a[:IMAGES] for name, a in workspace.layers.inputs.items()}
    exact = {name: a[:IMAGES] for name, a in workspace.layers.truth.items()}
    taps = open_taps(case.name, case.artifact, spec, workspace.threads, inputs, exact)
    tapped = taps.layers(inputs).layers
    right = {name: value for name, value in tapped.items() if value.shape == exact[name].shape}
    unlike = "".join(
        f"not found: {name} has shape {tapped[name].shape[1:]}; the truth has shape "
        f"{exact[name].shape[1:]}"
        for name in [name for name in tapped if name not in right][:1]
    )
    found, odd = list[LayerSqnr](), ""
    stored = _alignment(case)
    for name, value in right.items():
        group = taps.matches[name].group
        if not np.isfinite(value).all():
            odd = odd or f"{name} has NaN or Inf"
            continue
        given = not spec.layer(name).inputs and np.array_equal(value, inputs[name])
        if len(group) == 1 and (given or moves(spec.layer(name))):
            continue
        own = own_truth(spec, group, right, name, inputs)
        each = LayerSqnr(
            layer="+".join(group),
            reached=sqnr.sqnr(exact[name], value),
            own=sqnr.sqnr(own, value),
            weights=_weights(spec, stored, group),
            damage=_damage(case, name, exact[name] + (value - own)),
        )
        found.append(each)
    return sqnr.layer_sqnr(case.about, found, odd, taps.another, IMAGES, unlike)


def _alignment(case: Case) -> Alignment:
    """Which stored kernel is which layer's, by topology."""
    operations = case.backend.capability(Capability.OPERATIONS)
    return align(case.workspace.spec, operations(case.artifact.path, case.workspace.spec))


def _weights(spec: Spec, alignment: Alignment, group: Sequence[str]) -> float | None:
    """SQNR of a stored kernel against the spec's, with what is folded into it."""
    for member in group:
        layer, known = spec.layer(member), alignment.places[member]
        stored = [o.constants for o in known.operations if "kernel" in o.constants]
        if not kernels(layer) or len(stored) != len(kernels(layer)):
            continue
        axis = output_axis(layer)
        after = [spec.layer(n) for n in group[group.index(member) + 1 :]]
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
