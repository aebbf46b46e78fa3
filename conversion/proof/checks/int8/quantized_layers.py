"""What eight bits cost at every layer of an int8 artifact, and which layer does the damage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.ideal_rounding import rounding_in
from conversion.proof.checks.int8.seen import Seen, seen_in
from conversion.proof.checks.layers import own_truth
from conversion.proof.metrics import limits, sqnr
from conversion.proof.metrics.mistakes import mistakes
from conversion.proof.metrics.sqnr import LayerSqnr, Sqnr
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.moving import moves

HINTED = 4
"""Images that the usual mistakes are tried on."""

EXPLAINED = 10.0
"""A mistake explains an error where it leaves so much less, in dB; the rest is eight bits'."""

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
    ideal: Sqnr = field(default_factory=Sqnr)
    moved: float = 0.0


def layer_sqnr(case: Case) -> list[Measurement]:
    """Every layer's own quantization noise lies far enough below its signal."""
    case.require_map()
    spec, reference = case.workspace.spec, case.workspace.layers
    taps, gathered = case.taps, dict[str, Gathered]()
    odd, unlike, done = "", "", 0
    damaged = DAMAGE_VALUES // (reference.streaming.values * max(len(taps.seen), 1))
    damaged = min(max(damaged, 1), IMAGES, reference.count)
    seen, rounding = seen_in(case), rounding_in(case)
    for inputs, truths in reference.chunks(IMAGES):
        exact, tapped = dict(truths), taps.layers(inputs).layers
        right = {name: value for name, value in tapped.items() if _fits(exact[name], value)}
        for name in (name for name in tapped if name not in right):
            unlike = unlike or (
                f"not found: {name} has shape {tapped[name].shape[1:]}; the truth has shape "
                f"{exact[name].shape[1:]}"
            )
        for name in [name for name, value in right.items() if not np.isfinite(value).all()]:
            odd = odd or f"{name} has NaN or Inf"
            del right[name]
        counted = max(min(damaged - done, len(next(iter(inputs.values())))), 0)
        for name, value in right.items():
            group = taps.matches[name].group
            given = not spec.layer(name).inputs and np.array_equal(value, inputs[name])
            if len(group) == 1 and (given or moves(spec.layer(name))):
                continue
            own = own_truth(spec, group, right, name, inputs)
            each = gathered.setdefault(name, Gathered())
            each.reached.add(exact[name], value)
            each.own.add(own, value)
            each.ideal.add(own, rounding.group(name, right, inputs))
            if counted:
                few = {name: value[:counted] for name, value in exact.items()}
                each.moved += _moved(spec, few, name, few[name] + (value - own)[:counted])
        done += len(next(iter(inputs.values())))
    spread = _spread(case)
    found = [
        LayerSqnr(
            layer="+".join(taps.matches[name].group),
            reached=each.reached.decibels,
            own=each.own.decibels,
            ideal=each.ideal.decibels,
            weights=_weights(seen, taps.matches[name].group),
            damage=float(np.sqrt(each.moved / damaged / max(spread, 1e-300))),
            chance=sqnr.chance(each.own, each.ideal),
        )
        for name, each in gathered.items()
    ]
    floor = limits.SQNR.value if case.is_regression_test else 0.0
    measured = sqnr.layer_sqnr(case.about, found, odd, taps.another, done, unlike, floor)
    return [_explained(seen, each) for each in measured]


def _fits(exact: np.ndarray, value: np.ndarray) -> bool:
    return value.shape == exact.shape


def _weights(seen: Seen, group: Sequence[str]) -> float | None:
    """SQNR of a stored kernel against the spec's, with what is folded into it."""
    for layer in map(seen.spec.layer, group):
        found = seen.kernels.found(layer)[-1] if kernels(layer) else None
        if found is not None and found.is_located:
            return sqnr.sqnr(found.wanted.kernel, found.real)
    return None


def _explained(seen: Seen, found: Measurement) -> Measurement:
    """A failure with the mistake that its layer's values give away, where they do."""
    if found.verdict is not Verdict.FAIL or not found.layer:
        return found
    words = (_hint(seen, found.layer), found.reason)
    return replace(found, reason="; ".join(filter(None, words)))


def _hint(seen: Seen, name: str) -> str:
    """The usual mistake that gives what a layer gives, but for the rounding of eight bits."""
    group, few = seen.taps.matches[name].group, {n: v[:HINTED] for n, v in seen.values.items()}
    inputs = {each: array[:HINTED] for each, array in seen.inputs.items()}
    if name not in few:
        return ""
    own, found = own_truth(seen.spec, group, few, name, inputs), few[name]
    for layer in map(seen.spec.layer, group):
        for words, wrong in (*_without_activation(layer), *mistakes(layer)):
            others = tuple(wrong if each is layer else each for each in seen.spec.layers)
            spec = replace(seen.spec, layers=others)
            supposed = own_truth(spec, group, few, name, inputs)
            if not np.isfinite(supposed).all():  # a mistake that cannot have been made here
                continue
            if sqnr.sqnr(own - supposed, own - found) > EXPLAINED:
                return words if layer.name == name else f"{layer.name}: {words}"
    return ""


def _without_activation(layer: Layer) -> Iterator[tuple[str, Layer]]:
    if layer.activation != "linear" or layer.kind in ("ReLU", "LeakyReLU"):
        words = layer.kind if layer.activation == "linear" else layer.activation
        plain = {**layer.config, "activation": "linear"}
        kind = "Activation" if layer.kind in ("ReLU", "LeakyReLU") else layer.kind
        yield f"its {words} is missing", replace(layer, kind=kind, config=plain)


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
