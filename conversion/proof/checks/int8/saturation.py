"""Saturation: what a file that is right here would give on a CPU without VNNI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversion.core.measurement import Measurement, advised
from conversion.proof.checks.case import Case
from conversion.proof.checks.margins import not_answers
from conversion.proof.metrics import saturation as checks
from conversion.proof.metrics.quantities import SATURATION_LOGITS
from conversion.proof.metrics.saturation import Effect, Sums
from conversion.readers.cost import multiply_accumulates

if TYPE_CHECKING:
    from onnx import ModelProto

    from conversion.proof.emulation import Emulation

IMAGES = 200
"""Images of the emulation, of those of parity."""

ELSEWHERE = "right on this CPU, and another answer on others"
HERE = "right as it is run here, with session.x64quantprecision, and another answer without that"
"""Why an external file does not fail: whoever made it chose the machine that it is for."""

WORK = 5_000_000_000
"""Multiply-accumulates that the emulation may take; a larger model gets fewer images."""


def saturation(case: Case) -> list[Measurement]:
    """The file's sums of uint8 x int8 products survive 16 bits."""
    case.require_map()
    from conversion.backends import onnx_file
    from conversion.backends.onnx_deployed import deployed
    from conversion.proof.checks.deployed_layers import DeployedLayers
    from conversion.proof.checks.int8.seen import owners_in
    from conversion.proof.saturating import bound, products

    file, model = onnx_file.load(case.artifact.path), deployed(case.artifact.path).model
    found = products(model)
    if not found:
        reason = "no kernel multiplies uint8 activations by int8 weights in pairs"
        return case.skip(SATURATION_LOGITS, reason)
    bounds = [bound(product) for product in found]
    emulation, effect = None, None
    if any(each.worst > 1 for each in bounds):
        emulation, effect = _emulated(case, model)
    layers = DeployedLayers(owners_in(case), file, model)
    seen = {e.product.node.output[0]: e for e in emulation.nodes} if emulation else {}
    sums = []
    for product, limits in zip(found, bounds, strict=True):
        name = product.node.output[0]
        layer, kind = layers.of(product.node) or name, product.node.op_type
        weights = (limits.worst, limits.any_order, limits.risky, limits.pairs)
        each = seen.get(name)
        if each is None:
            sums.append(Sums(layer, kind, *weights))
            continue
        shares = (each.saturated / max(each.sums, 1), each.changed / each.outputs)
        sums.append(Sums(layer, kind, *weights, *shares, each.faithful))
    measured = checks.saturation(case.about, sums, effect)
    if not case.artifact.external:
        return measured
    why = HERE if onnx_file.is_guarded(case.artifact) else ELSEWHERE
    return [advised(each, why) for each in measured]


def _emulated(case: Case, model: ModelProto) -> tuple[Emulation, Effect | None]:
    import numpy as np

    from conversion.backends import onnx_file
    from conversion.proof.emulation import emulate

    workspace, spec = case.workspace, case.workspace.spec
    cost = max(sum(multiply_accumulates(spec).values()), 1)
    count = min(max(WORK // cost, 1), IMAGES)
    images = {name: workspace.parity_inputs[name][:count] for name in spec.inputs}
    ports = [port.name for port in onnx_file.inputs(model)]
    found = emulate(model, dict(zip(ports, images.values(), strict=True)))
    if not found.nodes:  # what can saturate is no operator that is emulated
        return found, None
    deployed = list(workspace.runner(case.name, threads=1).run(images).values())
    given = any(
        all(np.array_equal(ours, theirs) for ours, theirs in zip(deployed, each, strict=True))
        for each in (found.exact, found.wrong)
    )
    last, scored = found.nodes[-1], not not_answers(case)
    scores = (found.exact[0], found.wrong[0]) if scored else None
    return found, Effect((last.exact, last.wrong), scores, given)
