"""Layers: where does an artifact leave the truth, and what does the error look like?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from conversion.backends import Capability
from conversion.core.measurement import Measurement, Verdict
from conversion.core.spec import Spec
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.metrics import diagnosis as mechanism
from conversion.proof.metrics import layers
from conversion.proof.metrics.compare import Comparison
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.mistakes import mistakes
from conversion.proof.metrics.views import VIEWS
from conversion.proof.taps.opened import Taps
from conversion.workspace.layer_reference import Arrays, LayerReference

HINTED = 32
"""Images that the pattern of an error is looked for on."""


def layer_error(case: Case) -> list[Measurement]:
    """Every layer lies as close to the float64 truth as Keras's, and the taps show what ships."""
    case.require_map()
    return _measured(case)


def _measured(case: Case) -> list[Measurement]:
    return case.once("layer error", lambda: _layer_error(case))


def _layer_error(case: Case) -> list[Measurement]:
    workspace, reference = case.workspace, case.workspace.layers
    runner = workspace.runner(case.name)
    taps = case.taps
    compared = layers.Layers(case.heads, reference.noise)
    ends = [Comparison(name, VIEWS[head]) for name, head in case.heads.items()]
    for inputs, exact in reference.chunks():
        deployed, tapped = runner.run(inputs), taps.layers(inputs)
        for end in ends:
            end.add(deployed[end.output], tapped.outputs[end.output])
        for name, value in exact:
            if name in tapped.layers:
                compared.add(name, value, np.asarray(tapped.layers[name], np.float32))
    errors, matches = compared.errors(), taps.matches
    first = layers.first_at_fault(errors)
    hint = _hint(case, taps, first.layer, compared) if first else ""
    return [
        *layers.layer_error(
            case.about,
            errors,
            {name: each.group for name, each in matches.items()},
            {name: each.note for name, each in matches.items()},
            hint,
            reference.count,
            workspace.spec.outputs,
        ),
        *layers.tapped_graph(case.about, ends, reference.noise, taps.another),
    ]


def located(case: Case, measured: list[Measurement]) -> list[Measurement]:
    """Failed measurements with the first layer at fault, where the artifact's layers can be read.

    Args:
        case: what was measured.
        measured: any measurements; those that did not fail are left as they are.
    """
    seen = case.backend.offers(Capability.TAPS)
    if not seen or all(m.verdict is not Verdict.FAIL for m in measured):
        return measured
    found = _measured(case)[0]
    if found.verdict is Verdict.FAIL:
        layer, said = found.layer, found.reason
    else:
        layer, said = None, "every layer that can be seen lies within its rounding noise"
    return [
        m
        if m.verdict is not Verdict.FAIL
        else replace(m, layer=layer or m.layer, reason="; ".join(filter(None, (m.reason, said))))
        for m in measured
    ]


def _hint(case: Case, taps: Taps, layer: str, compared: layers.Layers) -> str:
    """What the error of one layer looks like, from its own inputs in the artifact."""
    inputs = _most_off(case.workspace.layers, compared.differences()[layer])
    found, match = taps.layers(inputs).layers, taps.matches[layer]
    wanted = own_truth(case.workspace.spec, match.group, found, layer, inputs)
    view = VIEWS[case.heads.get(layer, "none")]
    words = _mistake(case, match.group, found, layer, inputs, wanted)
    words = words or mechanism.hint(view(wanted), view(found[layer]))
    return "; ".join(filter(None, (words, match.note)))


def _most_off(reference: LayerReference, found: Difference | str) -> Arrays:
    """The images on which a layer is off most: a lost ceiling shows in few."""
    if isinstance(found, str):
        return reference.first(HINTED)
    count = min(HINTED, reference.streaming.chunk)
    rows = np.sort(np.argsort(-found.images, kind="stable")[:count])
    return {name: array[rows] for name, array in reference.inputs.items()}


def _mistake(
    case: Case,
    group: Sequence[str],
    found: Mapping[str, np.ndarray],
    layer: str,
    inputs: Mapping[str, np.ndarray],
    wanted: np.ndarray,
) -> str:
    """The usual mistake that gives just what was found; empty where none does."""
    if wanted.shape != found[layer].shape:
        return ""
    spec = case.workspace.spec
    for member in group:
        for words, wrong in mistakes(spec.layer(member)):
            others = tuple(wrong if each.name == member else each for each in spec.layers)
            supposed = own_truth(replace(spec, layers=others), group, found, layer, inputs)
            if mechanism.explains(wanted, found[layer], supposed):
                return words if member == layer else f"{member}: {words}"
    return ""


def own_truth(
    spec: Spec,
    group: Sequence[str],
    found: Mapping[str, np.ndarray],
    layer: str,
    inputs: Mapping[str, np.ndarray],
) -> np.ndarray:
    """What a layer should give for the inputs that it has in the artifact, in float64.

    Args:
        spec: the model.
        group: the layers that are computed together with it there.
        found: layer name to its output in the artifact.
        layer: a layer that is among them.
        inputs: input name to ``(N, ...)``, those that gave `found`.
    """
    given = {
        name: value
        for name, value in found.items()
        if name not in group and value.shape[1:] == spec.layer(name).shape
    }
    return truth.evaluate(spec, inputs, keep=(layer,), given=given).layers[layer]
