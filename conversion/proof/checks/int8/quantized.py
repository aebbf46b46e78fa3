"""Quantized parameters: every scale, zero point, weight and bias is the one that it must be."""

from __future__ import annotations

from collections.abc import Sequence

from conversion.backends import Capability
from conversion.core.measurement import Measurement
from conversion.core.spec import Spec
from conversion.proof.checks.batching import DYNAMIC
from conversion.proof.checks.case import Case
from conversion.proof.checks.weights import settled_by_behaviour
from conversion.proof.metrics import quantized, weights
from conversion.proof.metrics.quantities import QUANTIZED_SEEN, SOURCE_EQUAL, SOURCE_FOLDED
from conversion.proof.metrics.quantized import Pair
from conversion.proof.metrics.weights import Held, Settled
from conversion.proof.metrics.weights_seen import weights_seen
from conversion.proof.taps.weights_by_content import locate
from conversion.quantization.coverage import BY_CHOICE

EXTERNAL = "an external file brings no ranges, so the scales of activations were only "
"""The beginning of what is said of an external file."""

SIXTEEN = "activations have 16 bits, kernels 8"


def quantized_parameters(case: Case) -> list[Measurement]:
    """Every parameter of an int8 file is the one that the float model and the ranges give."""
    found: list[Measurement] = case.backend.capability(Capability.QUANTIZATION_PARAMETERS)(case)
    return found


def onnx_parameters(case: Case) -> list[Measurement]:
    """Those of an ONNX file, from the float graph and the ranges."""
    case.require_map()
    from conversion.backends.onnx_file import load
    from conversion.proof.checks.int8.quantized_external import Nearby
    from conversion.proof.checks.int8.quantized_graph import Laid
    from conversion.proof.checks.int8.quantized_onnx import Recomputed
    from conversion.proof.checks.int8.quantized_twins import Likeness
    from conversion.proof.checks.int8.seen import held_in, prepared_in

    workspace, spec = case.workspace, case.workspace.spec
    file = Laid(load(case.artifact.path))
    if case.artifact.external:
        near = Nearby(file, held_in(case))
        dynamic = file.network.is_dynamic
        remark = DYNAMIC if dynamic else EXTERNAL + "compared with each other"
        return _measured(
            case, near.pairs(), near.unchecked(), remark, near.weights.settled, dynamic
        )
    source, prepared = workspace.artifact("onnx-prepared"), prepared_in(case)
    made = Recomputed(
        file,
        Laid(load(source.path)),
        prepared.owners,
        workspace.artifact("onnx-ranges").provenance["ranges"],
        workspace.settings.onnx,
        Likeness(case.exposed, prepared.taps.exposed, workspace.layers.probes[0]),
    )
    located = locate(spec, prepared.network, prepared.taps.matches)
    behaving = settled_by_behaviour(case, prepared.taps, located)
    held = [*located.held, *(each.held for each in behaving if each.is_wrong)]
    return [
        *_measured(
            case, made.pairs(), made.unchecked(), source=located.held, source_behaves=behaving
        ),
        *weights.compared(case.about, spec, held, (SOURCE_EQUAL, SOURCE_FOLDED)),
    ]


def torch_parameters(case: Case) -> list[Measurement]:
    """Those of a PyTorch state, from the spec and the ranges in the file."""
    case.require_map()
    import json

    from conversion.backends.torch_file import load
    from conversion.proof.checks.int8.quantized_torch import Recomputed

    workspace = case.workspace
    content, remark = load(case.artifact.path, case.name), ""
    recorded = content["ranges"]
    if case.artifact.external:
        remark = EXTERNAL + "compared with those that the file itself states"
    else:
        recorded = json.loads(workspace.artifact("torch-ranges").path.read_text())
    own = not case.artifact.external
    made = Recomputed(workspace.spec, content, recorded, own, _chosen(case))
    return _measured(case, made.pairs(), made.unchecked(), remark)


def litert_parameters(case: Case) -> list[Measurement]:
    """Kernels, biases, and what LiteRT fixes; `ranges` has the scales that a calibration gives."""
    case.require_map()
    from conversion.proof.checks.int8.quantized_litert import Parameters
    from conversion.proof.checks.int8.seen import held_in
    from conversion.quantization.coverage import float_steps

    spec, external = case.workspace.spec, case.artifact.external
    seen = held_in(case)
    partly = () if external else float_steps(spec, case.workspace.settings)
    found = Parameters(seen, external, case.in_float, partly)
    wide = {t.steps.zero_point.dtype.name for t in seen.network.tensors if t.steps is not None}
    remark = SIXTEEN if "int16" in wide else ""
    # Of a file that does not run nothing is seen to be a layer's, which is not its fault.
    lost = [] if seen.failure is not None and not external else found.unchecked()
    return _measured(case, found.pairs(), lost, remark, found.weights.settled)


def _measured(
    case: Case,
    pairs: list[Pair],
    unchecked: Sequence[str],
    remark: str = "",
    settled: Sequence[str] = (),
    dynamic: bool = False,
    source: Sequence[Held] = (),
    source_behaves: Sequence[Settled] = (),
) -> list[Measurement]:
    """What was compared, and which share of the weights that shows.

    Args:
        case: the artifact.
        pairs: what was compared.
        unchecked: what was not, in words.
        remark: what could not be, for the reason.
        settled: layers whose weights could not be compared and that give what they should.
        dynamic: whether the file may lack scales: they are computed as it runs.
        source: the weights of the float graph that was quantized, each of which was compared.
        source_behaves: those that were not found in it, and what their layers do there.
    """
    spec = case.workspace.spec
    order = [layer.name for layer in spec.layers]
    dispensable = quantized.PARTS if dynamic else _dispensable(spec)
    return [
        *quantized.parameters(case.about, order, pairs, unchecked, remark, dispensable, settled),
        *_seen(case, pairs, source, source_behaves),
    ]


def _seen(
    case: Case, pairs: Sequence[Pair], source: Sequence[Held], source_behaves: Sequence[Settled]
) -> list[Measurement]:
    """The share of the weights that was compared; what was not is seen in what its layer gives."""
    from conversion.proof.checks.int8.seen import held_in

    spec = case.workspace.spec
    found = [(pair.covers, pair.exact) for pair in pairs]
    found += [(held.covers, held.exact and held.layer in case.in_float) for held in source]
    exactly, by_rule = (
        [a for covers, e in found if e is how for a in covers] for how in (True, False)
    )
    known = {*map(id, exactly), *map(id, by_rule)}
    left = [layer for layer in spec.layers if not known.issuperset(map(id, layer.weights.values()))]
    behaving = [layer for layer in left if held_in(case).behaves(layer.name)]
    arrays = [array for layer in behaving for array in layer.weights.values()]
    right = [each for each in source_behaves if each.is_right]
    arrays += [array for each in right for array in each.held.covers]
    unseen = sum(each.unseen for each in right)
    return weights_seen(case.about, QUANTIZED_SEEN, spec, exactly, by_rule, arrays, unseen)


def _chosen(case: Case) -> list[str]:
    """The layers that the scheme leaves in float."""
    return [name for name, why in case.in_float.items() if why == BY_CHOICE]


def _dispensable(spec: Spec) -> tuple[str, ...]:
    """What a file may have none of: of a model without weights, no weights either."""
    weighty = any(layer.weights for layer in spec.layers)
    return quantized.DISPENSABLE if weighty else (*quantized.DISPENSABLE, "weights")
