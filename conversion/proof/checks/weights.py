"""Are a float file's weights the spec's? Found by content, else settled by what their layers do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from conversion.core.errors import NoTruth, RunFailed, UserError
from conversion.core.measurement import Measurement
from conversion.core.spec import Layer, Spec
from conversion.proof.checks.behaviour import Behaviour
from conversion.proof.checks.case import Case
from conversion.proof.metrics import weights
from conversion.proof.metrics.weights import Held, Settled
from conversion.proof.taps.opened import Exposed, Taps, align, expose_onnx
from conversion.proof.taps.recurrent_weights import over_time
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
    try:
        taps = None if looped else aligned()
    except (NoTruth, RunFailed, UserError):  # then weights are looked for by what they are alone
        taps = None
    found = locate(_holding(spec, looped, ()), exposed.network, taps.matches if taps else None)
    behaving = [] if taps is None else settled_by_behaviour(case, taps, found)
    # What is not found of a loop is judged by what it does to the outputs.
    repeated = over_time(looped, exposed.network)
    spec = _holding(spec, looped, {id(array) for held in repeated for array in held.covers})
    held = [*found.held, *repeated]
    case.held.update(weights.element_by_element(spec, held))
    return weights.weights(case.about, spec, held, behaving)


def _holding(spec: Spec, layers: Collection[Layer], known: Collection[int]) -> Spec:
    """The spec, some of whose layers have no other weights than those, by `id`."""

    def held(layer: Layer) -> Layer:
        left = {role: array for role, array in layer.weights.items() if id(array) in known}
        return replace(layer, weights=left) if layer in layers else layer

    return replace(spec, layers=tuple(map(held, spec.layers)))


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
