"""Structure: is the file what it says it is?"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from conversion.backends import Capability, implementation
from conversion.core.errors import NoTruth
from conversion.core.measurement import Measurement
from conversion.proof.checks.case import Case
from conversion.proof.metrics import structure, weights
from conversion.proof.metrics.quantities import (
    CENSUS,
    FLOAT_OPERATORS,
    INPUTS,
    ONNX_VALID,
    OPSET,
    OUTPUTS,
    PORTS,
    PROVENANCE,
    WEIGHTS_SEEN,
)
from conversion.proof.metrics.weights_seen import weights_seen


def _onnx_content(case: Case) -> Any:
    return case.backend.capability(Capability.ONNX_FILE)(case.artifact.path)


def onnx_valid(case: Case) -> list[Measurement]:
    """The full ONNX checker and strict shape inference accept the file."""
    from onnx import checker, shape_inference

    model, reason = _onnx_content(case), ""
    try:
        checker.check_model(model, full_check=True)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        reason = str(error).splitlines()[0]
    return [structure.expected(ONNX_VALID, case.about, "", reason)]


def onnx_ports(case: Case) -> list[Measurement]:
    """Inputs and outputs have the source's names, shapes and dtypes."""
    from conversion.backends import onnx_file

    model, spec = _onnx_content(case), case.workspace.spec
    if case.artifact.external:
        sizes = [spec.layer(name).shape for name in spec.inputs]
        ports = onnx_file.ports_of(onnx_file.open_session(str(case.artifact.path), case.name, 1))
        said = [w for port, size in zip(ports, sizes, strict=False) for w in port.words(size)]
        return case.skip(PORTS, "; ".join(["an external file names its own ports", *said]))
    return [
        structure.ports(case.about, what, names, spec, onnx_file.ports(found))
        for what, names, found in (
            (INPUTS, spec.inputs, onnx_file.inputs(model)),
            (OUTPUTS, spec.outputs, model.graph.output),
        )
    ]


def onnx_operators(case: Case) -> list[Measurement]:
    """The graph has the operators that were recorded, and the opset that was asked for."""
    from conversion.backends import onnx_file

    if case.artifact.external:
        return case.skip(CENSUS, "an external file has the operators that its converter chose")
    found = onnx_file.census(_onnx_content(case))
    recorded = case.artifact.provenance["census"]
    measured = [structure.expected(CENSUS, case.about, recorded, found)]
    if case.backend.is_float:
        wanted = case.workspace.settings.opset
        measured.append(structure.expected(OPSET, case.about, wanted, found["opset"]))
    return measured


def onnx_integer_weights(case: Case) -> list[Measurement]:
    """Every kernel of an int8 file is stored in eight bits."""
    from conversion.backends import onnx_file

    stored = onnx_file.eight_bit_elements(_onnx_content(case))
    return [structure.eight_bit_weights(case.about, stored, _wanted(case))]


def _wanted(case: Case) -> int:
    """How many elements of kernels there must be in eight bits.

    An external file may leave layers in float, but not all; `integer-kernels` says at what cost.
    """
    from conversion.proof.checks.int8.seen import held_in

    return case.kernel_elements(held_in(case).in_float if case.artifact.external else ())


def torch_weights(case: Case) -> list[Measurement]:
    """The state in the file is the spec's weights, bit by bit."""
    return case.once("weights", lambda: _torch_weights(case))


def _torch_weights(case: Case) -> list[Measurement]:
    from conversion.backends import torch_fp32, torch_module

    spec = case.workspace.spec
    state = torch_fp32.rebuild(case.artifact.path, spec.custom).state_dict()
    wanted = torch_module.state_of(spec)
    names = {torch_module.attribute_name(layer.name): layer.name for layer in spec.layers}

    def of_layers(found: Mapping[str, Any]) -> dict[str, Any]:
        parts = ((*name.partition("."), tensor) for name, tensor in found.items())
        return {f"{names.get(a, a)}{dot}{role}": t.numpy() for a, dot, role, t in parts}

    ours, theirs = of_layers(wanted), of_layers(state)
    stored = {names.get(name.partition(".")[0]) for name in state}
    layers = [each for each in spec.layers if each.name in stored]
    arrays = [array for layer in layers for array in layer.weights.values()]
    case.held.update(map(id, arrays))
    return [
        *weights.equal_arrays(case.about, ours, theirs),
        *weights_seen(case.about, WEIGHTS_SEEN, spec, arrays, ()),
    ]


def torch_integer_weights(case: Case) -> list[Measurement]:
    """Every kernel of an int8 file is stored in eight bits."""
    from conversion.quantization import torch_static

    stored = torch_static.eight_bit_elements(case.artifact.path)
    return [structure.eight_bit_weights(case.about, stored, case.kernel_elements())]


def litert_integer_weights(case: Case) -> list[Measurement]:
    """Every kernel of an int8 file is stored in eight bits, and nothing is computed in float."""
    from conversion.backends import litert_file

    model = litert_file.load(case.artifact.path)
    stored = litert_file.eight_bit_elements(model)
    floats = litert_file.float_operators(model, _outside(case))
    return [
        structure.eight_bit_weights(case.about, stored, _wanted(case)),
        structure.expected(FLOAT_OPERATORS, case.about, [], floats),
    ]


def _outside(case: Case) -> set[int]:
    """Tensors that the layers compute of which a step may be in float."""
    from conversion.proof.checks.int8.seen import owners_in, seen_in
    from conversion.quantization.coverage import float_steps

    spec = case.workspace.spec
    if case.artifact.external or not float_steps(spec, case.workspace.settings):
        return set()
    with suppress(NoTruth):  # of a file that does not run no operator is seen to be a layer's
        seen_in(case)
    owners, layers = owners_in(case), float_steps(spec, case.workspace.settings)
    known = {
        each.name
        for each in owners.network.tensors
        if each.reads and not layers.keys().isdisjoint(owners.around(each.name))
    }
    for each in owners.network.tensors:
        if each.moves and known.issuperset(each.reads):
            known.add(each.name)
    return {int(name) for name in known}


def provenance(case: Case) -> list[Measurement]:
    """The file says of itself that it was made from this very source file."""
    if case.artifact.external:
        return case.skip(PROVENANCE, "an external file has no provenance")
    found = implementation(case.backend).stated_source(case.artifact.path)
    return [structure.expected(PROVENANCE, case.about, case.workspace.spec.digest, found)]
