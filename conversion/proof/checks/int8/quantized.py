"""Quantized parameters: every scale, zero point, weight and bias is the one that it must be."""

from __future__ import annotations

from conversion.backends import Capability
from conversion.core.measurement import Measurement
from conversion.core.spec import Spec
from conversion.proof.checks.case import Case
from conversion.proof.metrics import quantized, weights
from conversion.proof.metrics.quantities import SOURCE_EQUAL, SOURCE_FOLDED
from conversion.quantization.coverage import BY_CHOICE

EXTERNAL = "an external file brings no ranges, so the scales of activations were only "
"""The beginning of what is said of an external file."""


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
    from conversion.proof.taps.opened import align, expose_onnx
    from conversion.proof.taps.weights_by_content import locate

    workspace, spec = case.workspace, case.workspace.spec
    order = [layer.name for layer in spec.layers]
    file = Laid(spec, load(case.artifact.path))
    if case.artifact.external:
        near = Nearby(file)
        remark = EXTERNAL + "compared with each other"
        return quantized.parameters(
            case.about, order, near.pairs(), near.unchecked(), remark, _dispensable(spec)
        )
    prepared = Laid(spec, load(workspace.artifact("onnx-prepared").path))
    ranges = workspace.artifact("onnx-ranges").provenance["ranges"]
    made = Recomputed(file, prepared, ranges, workspace.settings.onnx)
    graph = load(workspace.artifact("onnx-prepared").path)
    exposed = expose_onnx(graph, "onnx-prepared", spec, workspace.threads)
    taps = align(spec, exposed, *workspace.layers.probes)
    source = locate(spec, exposed.network, taps.matches)
    held = [*source.held, *source.placed]
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
    """Those of a LiteRT file, from the spec."""
    case.require_map()
    """Kernels, biases, and what LiteRT fixes; `ranges` has the scales that a calibration gives."""
    from conversion.backends.litert_file import load
    from conversion.proof.checks.int8.litert_rewrites import honest
    from conversion.proof.checks.int8.quantized_litert import Parameters
    from conversion.quantization.coverage import float_steps

    spec, external = case.workspace.spec, case.artifact.external
    partly = () if external else float_steps(spec, case.workspace.settings)
    found = Parameters(spec, load(case.artifact.path), external, partly, _chosen(case))
    order = [layer.name for layer in spec.layers]
    pairs, unchecked = found.pairs(), found.unchecked()
    measured = quantized.parameters(
        case.about, order, pairs, unchecked, dispensable=_dispensable(spec)
    )
    return honest(measured, found.unjudged)


def _chosen(case: Case) -> list[str]:
    """The layers that the scheme leaves in float."""
    return [name for name, why in case.in_float.items() if why == BY_CHOICE]


def _dispensable(spec: Spec) -> tuple[str, ...]:
    """What a file may have none of: of a model without weights, no weights either."""
    weighty = any(layer.weights for layer in spec.layers)
    return quantized.DISPENSABLE if weighty else (*quantized.DISPENSABLE, "weights")
