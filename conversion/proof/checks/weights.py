"""Are a float file's weights the spec's? Found by content, else settled by what their layers do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversion.core.errors import NoTruth, RunFailed, UserError
from conversion.core.measurement import Measurement
from conversion.proof.checks.behaviour import Behaviour
from conversion.proof.checks.case import Case
from conversion.proof.metrics import weights
from conversion.proof.metrics.weights import Held, Settled
from conversion.proof.taps.opened import Exposed, Taps, align, expose_onnx, open_litert, open_onnx
from conversion.proof.taps.weights_by_content import locate

if TYPE_CHECKING:
    import numpy as np


def onnx_weights(case: Case) -> list[Measurement]:
    """Every stored weight of a float graph is the spec's: bit by bit, folded ones in rounding."""
    workspace = case.workspace
    return _measured(
        case, open_onnx(case.artifact, workspace.spec, workspace.threads, _probe(case))
    )


def torch_via_onnx_weights(case: Case) -> list[Measurement]:
    """The same of the graph that an onnx2torch module is rebuilt from."""
    import onnx

    from conversion.backends import torch_via_onnx

    model = onnx.load_from_string(torch_via_onnx.graph_in(case.artifact.path))
    spec, threads = case.workspace.spec, case.workspace.threads
    return _measured(case, expose_onnx(model, case.artifact.path.name, spec, threads))


def litert_weights(case: Case) -> list[Measurement]:
    """The same of a float LiteRT file."""
    workspace = case.workspace
    return _measured(
        case, open_litert(case.artifact, workspace.spec, workspace.threads, _probe(case))
    )


def _probe(case: Case) -> dict[str, np.ndarray]:
    return {name: array[:1] for name, array in case.workspace.parity_inputs.items()}


def _measured(case: Case, exposed: Exposed) -> list[Measurement]:
    spec = case.workspace.spec
    try:
        taps = align(spec, exposed, case.workspace.parity_inputs)
    except (NoTruth, RunFailed, UserError):  # then weights are looked for by what they are alone
        taps = None
    found = locate(spec, exposed.network, None if taps is None else taps.matches)
    waiting = [*found.placed, *(Held.nowhere(spec.layer(name)) for name in found.missing)]
    settled = [] if taps is None else _settled(case, taps, waiting)
    return weights.weights(case.about, spec, found.held, settled)


def _settled(case: Case, taps: Taps, waiting: list[Held]) -> list[Settled]:
    """What the layers do whose weights were not found."""
    if not waiting:
        return []
    behaviour, spec = Behaviour(case, taps), case.workspace.spec
    found = []
    for held in waiting:
        error = behaviour.of(held.layer)
        unseen = 0
        if error is not None and not error.at_fault:
            unseen = behaviour.unseen(spec.layer(held.layer), held.covers)
        found.append(Settled(held, error, unseen))
    return found
