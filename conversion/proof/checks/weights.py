"""Are a float file's weights the spec's? Found by content, else settled by what their layers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conversion.core.errors import NoTruth, RunFailed, UserError
from conversion.core.measurement import Measurement
from conversion.proof.checks.behaviour import Behaviour
from conversion.proof.checks.case import Case
from conversion.proof.metrics import weights
from conversion.proof.metrics.weights import Held, Settled
from conversion.proof.taps.opened import Exposed, Taps, align, expose_onnx
from conversion.proof.taps.weights_by_content import Located, locate
from conversion.readers.schema_by_keras import OVER_TIME


def file_weights(case: Case) -> list[Measurement]:
    """Every stored weight is the spec's: bit by bit, folded ones in rounding."""
    return case.once("weights", lambda: _measured(case, case.exposed, lambda: case.taps))


def torch_via_onnx_weights(case: Case) -> list[Measurement]:
    """The same of the graph that an onnx2torch module is rebuilt from."""
    return case.once("weights", lambda: _via_onnx(case))


def _via_onnx(case: Case) -> list[Measurement]:
    import onnx

    from conversion.backends import torch_via_onnx

    model = onnx.load_from_string(torch_via_onnx.graph_in(case.artifact.path))
    spec, workspace = case.workspace.spec, case.workspace
    exposed = expose_onnx(model, case.artifact.path.name, spec, workspace.threads)
    return _measured(case, exposed, lambda: align(spec, exposed, *workspace.layers.probes))


def _measured(case: Case, exposed: Exposed, aligned: Callable[[], Taps]) -> list[Measurement]:
    spec = case.workspace.spec
    looped = [layer for layer in spec.layers if layer.kind in OVER_TIME]
    if looped:  # what they hold is judged by what it does to the outputs
        bare = (replace(e, weights={}) if e in looped else e for e in spec.layers)
        spec = replace(spec, layers=tuple(bare))
    try:
        taps = None if looped else aligned()
    except (NoTruth, RunFailed, UserError):  # then weights are looked for by what they are alone
        taps = None
    found = locate(spec, exposed.network, None if taps is None else taps.matches)
    behaving = [] if taps is None else settled_by_behaviour(case, taps, found)
    case.held.update(weights.element_by_element(spec, found.held))
    return weights.weights(case.about, spec, found.held, behaving)


def settled_by_behaviour(case: Case, taps: Taps, located: Located) -> list[Settled]:
    """What the layers of a float file do whose weights were not found in it.

    Args:
        case: the artifact that is judged.
        taps: the float file with its layers in view: the artifact, or what it is made from.
        located: what was found.
    """
    spec = case.workspace.spec
    waiting = [*located.placed, *(Held.nowhere(spec.layer(name)) for name in located.missing)]
    if not waiting:
        return []
    behaviour = Behaviour(case, taps)
    found = []
    for held in waiting:
        error = behaviour.of(held.layer)
        unseen = 0
        if error is not None and not error.at_fault:
            unseen = behaviour.unseen(spec.layer(held.layer), held.covers)
        found.append(Settled(held, error, unseen))
    return found
