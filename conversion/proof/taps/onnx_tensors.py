"""Every tensor of an ONNX file: which is computed from which, and its values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from conversion.backends.onnx_file import inputs as ports
from conversion.backends.onnx_file import open_session, run_session, with_outputs
from conversion.core.spec import Spec
from conversion.proof.metrics.int8 import Steps
from conversion.proof.taps.network import Computed, Network, Run, real_values
from conversion.proof.taps.onnx_constants import Constants

MOVES = (
    *("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Identity", "Dropout"),
    *("QuantizeLinear", "DequantizeLinear"),
)
"""Operators that only move, cast or round elements."""

GIVING_ON = (
    *("transpose", "reshape", "flatten", "squeeze", "unsqueeze", "identity"),
    *("maxpool", "pad", "resize", "slice", "split", "gather", "tile", "expand"),
)
"""Kinds that take integers as they take real numbers, and give them on as they are."""


def network_of(model: ModelProto) -> Network:
    """The tensors of an ONNX file that depend on its inputs, by more than their shape.

    Args:
        model: any ONNX model.
    """
    inputs = tuple(value.name for value in ports(model))
    found, known = {name: Computed(name) for name in inputs}, Constants(model)
    steps: dict[str, Steps] = {}  # of integers, as the nodes that read them say
    for node in model.graph.node:
        reads = tuple(dict.fromkeys(name for name in _read(node) if name in found))
        if not reads or node.op_type in ("Shape", "Size"):
            continue
        steps |= known.steps_of_read(node, reads)
        kind, moves = node.op_type.lower(), node.op_type in MOVES
        constants, own = known.read_by(node, found), known.steps_of_result(node)
        for name in filter(None, node.output):
            found[name] = Computed(name, kind, reads, moves, constants, own)
    outputs = tuple(value.name for value in model.graph.output)
    return Network(_with_steps(found.values(), steps), inputs, outputs)


def _read(node: NodeProto) -> Iterator[str]:
    """What a node reads, and what the body of a loop or branch in it reads from around it."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
            for each in graph.node:
                yield from _read(each)


def _with_steps(tensors: Iterable[Computed], read: Mapping[str, Steps]) -> tuple[Computed, ...]:
    """Every tensor of integers with scale and zero point: as its writer says, else its readers."""
    known: dict[str, Steps | None] = {}
    found = []
    for each in tensors:
        own = each.steps or read.get(each.name)
        if own is None and each.kind in GIVING_ON and each.reads:
            own = known.get(each.reads[0])
        known[each.name] = own if own is not None and own.scale.size == 1 else None
        found.append(replace(each, steps=known[each.name]))
    return tuple(found)


def runner(
    model: ModelProto,
    network: Network,
    spec: Spec,
    name: str,
    threads: int,
    optimised: bool,
    guarded: bool = False,
) -> Run:
    """What gives the tensors of an ONNX file.

    Args:
        model: the file.
        network: of it.
        spec: the model, whose inputs are the file's in their order.
        name: what messages call the file.
        threads: threads of an operator.
        optimised: whether ONNX Runtime may rewrite the graph around the tensors that are asked for.
        guarded: whether sums of uint8 x int8 products must not saturate.
    """
    sessions: dict[tuple[str, ...], onnx.ModelProto] = {}

    def run(inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        feed = dict(zip(network.inputs, (inputs[each] for each in spec.inputs), strict=True))
        asked = tuple(each for each in names if each not in feed)
        if asked not in sessions:
            sessions.clear()
            sessions[asked] = open_session(
                with_outputs(model, asked), name, threads, optimised, guarded
            )
        found = (
            dict(zip(asked, run_session(sessions[asked], asked, feed), strict=True))
            if asked
            else {}
        )
        values = {**feed, **found}
        real = {each: real_values(values[each], network.of(each).steps) for each in names}
        return {each: value for each, value in real.items() if value is not None}

    return run
