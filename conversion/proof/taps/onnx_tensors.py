"""Every tensor of an ONNX file: which is computed from which, and its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto

from conversion.backends.onnx_file import inputs as ports
from conversion.backends.onnx_file import open_session, run_session, with_outputs
from conversion.core.spec import Spec
from conversion.proof.taps.network import Computed, Network, Run
from conversion.proof.taps.onnx_parameters import Parameters

MOVES = (
    *("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Identity", "Dropout"),
    *("QuantizeLinear", "DequantizeLinear"),
)
"""Operators that only move, cast or round elements."""

Steps = tuple[np.ndarray, np.ndarray]
"""Scale and zero point."""


def network_of(model: ModelProto) -> Network:
    """The tensors of an ONNX file that depend on its inputs, by more than their shape.

    Args:
        model: any ONNX model.
    """
    inputs = tuple(value.name for value in ports(model))
    found = {name: Computed(name) for name in inputs}
    for node in model.graph.node:
        reads = tuple(dict.fromkeys(name for name in node.input if name in found))
        if reads and node.op_type not in ("Shape", "Size"):
            for name in filter(None, node.output):
                found[name] = Computed(name, node.op_type.lower(), reads, node.op_type in MOVES)
    outputs = tuple(value.name for value in model.graph.output)
    return Network(tuple(found.values()), inputs, outputs)


def runner(
    model: ModelProto, network: Network, spec: Spec, name: str, threads: int, optimised: bool
) -> Run:
    """What gives the tensors of an ONNX file.

    Args:
        model: the file.
        network: of it.
        spec: the model, whose inputs are the file's in their order.
        name: what messages call the file.
        threads: threads of an operator.
        optimised: whether ONNX Runtime may rewrite the graph around the tensors that are asked for.
    """
    steps = _steps(model, network)
    sessions: dict[tuple[str, ...], onnx.ModelProto] = {}

    def run(inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        feed = dict(zip(network.inputs, (inputs[each] for each in spec.inputs), strict=True))
        asked = tuple(each for each in names if each not in feed)
        if asked not in sessions:
            sessions.clear()
            sessions[asked] = open_session(with_outputs(model, asked), name, threads, optimised)
        found = (
            dict(zip(asked, run_session(sessions[asked], asked, feed), strict=True))
            if asked
            else {}
        )
        values = {**feed, **found}
        real = {each: _real(values[each], steps.get(each)) for each in names}
        return {each: value for each, value in real.items() if value is not None}

    return run


def _steps(model: ModelProto, network: Network) -> dict[str, Steps]:
    """Scale and zero point of every quantized tensor, and of what only moves or picks from one."""
    parameters = Parameters(model)
    known: dict[str, Steps] = {}
    for slot in parameters.slots:
        found = parameters.steps(slot)
        if found is not None and found[0].size == 1:
            known.setdefault(slot.value, found)
    for each in network.tensors:
        if each.name not in known and each.reads and each.reads[0] in known:
            known[each.name] = known[each.reads[0]]
    return known


def _real(value: object, steps: Steps | None) -> np.ndarray | None:
    if not isinstance(value, np.ndarray) or not value.ndim:
        return None
    if value.dtype.kind == "f":
        return value
    if value.dtype.kind not in "iu" or steps is None or value.dtype.itemsize > 2:
        return None
    scale, zero = (np.asarray(each, np.float64).reshape(()) for each in steps)
    return np.asarray((value - zero) * scale, np.float32)
