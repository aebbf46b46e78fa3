"""Quantized parameters: every scale, zero point, weight and bias is the one that it must be."""

from __future__ import annotations

from conversion.backends import Capability
from conversion.core.measurement import Measurement
from conversion.core.spec import Spec
from conversion.proof.checks.batching import DYNAMIC
from conversion.proof.checks.case import Case
from conversion.proof.metrics import quantized, weights
from conversion.proof.metrics.quantities import SOURCE_EQUAL, SOURCE_FOLDED
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
    order = [layer.name for layer in spec.layers]
    file = Laid(load(case.artifact.path))
    if case.artifact.external:
        near = Nearby(file, held_in(case))
        dynamic = file.network.is_dynamic
        remark = DYNAMIC if dynamic else EXTERNAL + "compared with each other"
        dispensable = quantized.PARTS if dynamic else _dispensable(spec)
        return quantized.parameters(
            *(case.about, order, near.pairs(), near.unchecked(), remark, dispensable),
            near.weights.settled,
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
    source_weights = locate(spec, prepared.network, prepared.taps.matches)
    held = [*source_weights.held, *source_weights.placed]
    return [
        *quantized.parameters(
            case.about, order, made.pairs(), made.unchecked(), dispensable=_dispensable(spec)
        ),
        *weights.compared(case.about, spec, held, (SOURCE_EQUAL, SOURCE_FOLDED)),
    ]


def torch_parameters(case: Case) -> list[Measurement]:
    """Those of a PyTorch state, from the spec and the ranges in the file."""
    case.require_map()
    import json

    from conversion.backends.torch_file import load
    from conversion.proof.checks.int8.quantized_torch import Recomputed

    workspace, spec = case.workspace, case.workspace.spec
    content, remark = load(case.artifact.path, case.name), ""
    recorded = content["ranges"]
    if case.artifact.external:
        remark = EXTERNAL + "compared with those that the file itself states"
    else:
        recorded = json.loads(workspace.artifact("torch-ranges").path.read_text())
    made = Recomputed(spec, content, recorded, not case.artifact.external, _chosen(case))
    order = [layer.name for layer in spec.layers]
    pairs, unchecked = made.pairs(), made.unchecked()
    return quantized.parameters(case.about, order, pairs, unchecked, remark, _dispensable(spec))


def litert_parameters(case: Case) -> list[Measurement]:
    """Kernels, biases, and what LiteRT fixes; `ranges` has the scales that a calibration gives."""
    case.require_map()
    from conversion.proof.checks.int8.quantized_litert import Parameters
    from conversion.proof.checks.int8.seen import held_in
    from conversion.quantization.coverage import float_steps

    spec, external, seen = case.workspace.spec, case.artifact.external, held_in(case)
    partly = () if external else float_steps(spec, case.workspace.settings)
    found = Parameters(seen, external, _chosen(case), partly)
    order = [layer.name for layer in spec.layers]
    pairs, unchecked = found.pairs(), found.unchecked()
    wide = {t.steps.zero_point.dtype.name for t in seen.network.tensors if t.steps is not None}
    return quantized.parameters(
        case.about,
        order,
        pairs,
        unchecked,
        SIXTEEN if "int16" in wide else "",
        _dispensable(spec),
        found.weights.settled,
    )


def _chosen(case: Case) -> list[str]:
    """The layers that the scheme leaves in float."""
    return [name for name, why in case.in_float.items() if why == BY_CHOICE]


def _dispensable(spec: Spec) -> tuple[str, ...]:
    """What a file may have none of: of a model without weights, no weights either."""
    weighty = any(layer.weights for layer in spec.layers)
    return quantized.DISPENSABLE if weighty else (*quantized.DISPENSABLE, "weights")
