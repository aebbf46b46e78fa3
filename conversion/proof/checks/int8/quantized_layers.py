"""What eight bits cost at every layer of an int8 artifact, and which layer does the damage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from conversion.proof.metrics.sqnr import LayerSqnr, Sqnr
from conversion.proof.taps.alignment import Alignment, align
from conversion.proof.taps.kernels import kernels, output_axis
from conversion.proof.taps.moving import moves
from conversion.proof.taps.stages import is_affine

IMAGES = 64
"""Images that the damage is measured on: it is ranked, not judged."""

DAMAGE_VALUES = 600_000_000
"""Values of layers that are evaluated for the damage at most: all that follows a layer, once for
every layer, so that a large model gets fewer images."""


@dataclass(eq=False)
class Gathered:
    """What is gathered of a layer, or of layers that are computed together, chunk by chunk."""

    reached: Sqnr = field(default_factory=Sqnr)
    own: Sqnr = field(default_factory=Sqnr)
    moved: float = 0.0


def layer_sqnr(case: Case) -> list[Measurement]:
    """Every layer's own quantization noise lies far enough below its signal."""
    case.require_map()
    spec, reference = case.workspace.spec, case.workspace.layers
    taps, gathered = case.taps, dict[str, Gathered]()
    odd, unlike, done = "", "", 0
    damaged = DAMAGE_VALUES // (reference.streaming.values * max(len(taps.seen), 1))
    damaged = min(max(damaged, 1), IMAGES, reference.count)
    for inputs, truths in reference.chunks(IMAGES):
        exact, tapped = dict(truths), taps.layers(inputs).layers
        right = {name: value for name, value in tapped.items() if _fits(exact[name], value)}
        for name in (name for name in tapped if name not in right):
            unlike = unlike or (
                f"not found: {name} has shape {tapped[name].shape[1:]}; the truth has shape "
                f"{exact[name].shape[1:]}"
            )
        counted = max(min(damaged - done, len(next(iter(inputs.values())))), 0)
        for name, value in right.items():
            group = taps.matches[name].group
            if not np.isfinite(value).all():
                odd = odd or f"{name} has NaN or Inf"
                continue
            given = not spec.layer(name).inputs and np.array_equal(value, inputs[name])
            if len(group) == 1 and (given or moves(spec.layer(name))):
                continue
            own = own_truth(spec, group, right, name, inputs)
            each = gathered.setdefault(name, Gathered())
            each.reached.add(exact[name], value)
            each.own.add(own, value)
            if counted:
                few = {name: value[:counted] for name, value in exact.items()}
                each.moved += _moved(spec, few, name, few[name] + (value - own)[:counted])
        done += len(next(iter(inputs.values())))
    stored, spread = _alignment(case), _spread(case)
    found = [
        LayerSqnr(
            layer="+".join(taps.matches[name].group),
            reached=each.reached.decibels,
            own=each.own.decibels,
            weights=_weights(spec, stored, taps.matches[name].group),
            damage=float(np.sqrt(each.moved / damaged / max(spread, 1e-300))),
        )
        for name, each in gathered.items()
    ]
    return sqnr.layer_sqnr(case.about, found, odd, taps.another, done, unlike)


def _fits(exact: np.ndarray, value: np.ndarray) -> bool:
    return value.shape == exact.shape


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


def _moved(spec: Spec, exact: Mapping[str, np.ndarray], layer: str, perturbed: np.ndarray) -> float:
    """How far outputs move where one layer alone has its quantization noise: the squares.

    Args:
        spec: the model.
        exact: layer name to its output ``(N, ...)`` from the float64 truth.
        layer: the layer.
        perturbed: its output with the noise, ``(N, ...)``.

    Returns:
        The mean square over each output's elements, summed over images and outputs.
    """
    below = {layer}
    for each in spec.layers:
        if below & set(each.inputs):
            below.add(each.name)
    given = {name: value for name, value in exact.items() if name not in below}
    found = truth.evaluate(spec, {}, spec.outputs, {**given, layer: perturbed}).layers
    count = len(perturbed)
    return sum(float(((found[n] - exact[n]) ** 2).mean()) * count for n in spec.outputs)


def _spread(case: Case) -> float:
    """The variance of the outputs over the images, summed over the outputs."""
    exact = case.workspace.truth
    return sum(float(each[:IMAGES].var(axis=0).mean()) for each in exact.values())
