"""What eight bits cost at every layer of an int8 artifact, and which layer does the damage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.spec import Layer
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.kernel_content import Kernels
from conversion.proof.checks.int8.seen import Seen, seen_in
from conversion.proof.checks.layers import own_truth
from conversion.proof.metrics import diagnosis, sqnr
from conversion.proof.metrics.sqnr import LayerSqnr
from conversion.proof.taps.kernels import kernels
from conversion.proof.taps.moving import moves

IMAGES = 64
"""Images that the damage is measured on: it is ranked, not judged."""

HINTED = 4
"""Images that the usual mistakes are tried on."""

EXPLAINED = 10.0
"""A mistake explains an error where it leaves so much less, in dB; the rest is eight bits'."""


def layer_sqnr(case: Case) -> list[Measurement]:
    """Every layer's own quantization noise lies far enough below its signal."""
    case.require_map()
    workspace, spec = case.workspace, case.workspace.spec
    inputs = {name: a[:IMAGES] for name, a in workspace.layers.inputs.items()}
    exact = {name: a[:IMAGES] for name, a in workspace.layers.truth.items()}
    seen = seen_in(case)
    taps, stored = seen.taps, Kernels(seen.owners)
    tapped = taps.layers(inputs).layers
    right = {name: value for name, value in tapped.items() if value.shape == exact[name].shape}
    unlike = "".join(
        f"not found: {name} has shape {tapped[name].shape[1:]}; the truth has shape "
        f"{exact[name].shape[1:]}"
        for name in [name for name in tapped if name not in right][:1]
    )
    found, odd = list[LayerSqnr](), ""
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
            weights=_weights(seen, stored, group),
            damage=_damage(case, name, exact[name] + (value - own)),
        )
        found.append(each)
    measured = sqnr.layer_sqnr(case.about, found, odd, taps.another, IMAGES, unlike)
    return [_explained(seen, each) for each in measured]


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
        for words, wrong in (*_without_activation(layer), *diagnosis.mistakes(layer)):
            others = tuple(wrong if each is layer else each for each in seen.spec.layers)
            spec = replace(seen.spec, layers=others)
            supposed = own_truth(spec, group, few, name, inputs)
            if sqnr.sqnr(own - supposed, own - found) > EXPLAINED:
                return words if layer.name == name else f"{layer.name}: {words}"
    return ""


def _without_activation(layer: Layer) -> Iterator[tuple[str, Layer]]:
    if layer.activation != "linear" or layer.kind in ("ReLU", "LeakyReLU"):
        words = layer.kind if layer.activation == "linear" else layer.activation
        plain = {**layer.config, "activation": "linear"}
        kind = "Activation" if layer.kind in ("ReLU", "LeakyReLU") else layer.kind
        yield f"its {words} is missing", replace(layer, kind=kind, config=plain)


def _weights(seen: Seen, stored: Kernels, group: Sequence[str]) -> float | None:
    """SQNR of a stored kernel against the spec's, with what is folded into it."""
    for layer in map(seen.spec.layer, group):
        found = stored.found(layer)[-1] if kernels(layer) else None
        if found is not None and found.is_located:
            return sqnr.sqnr(found.wanted.kernel, found.real)
    return None


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
