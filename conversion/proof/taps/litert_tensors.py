"""Every tensor of a LiteRT file: which is computed from which, and its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conversion.backends.litert_file import operator, ports
from conversion.backends.litert_runner import open_interpreter, quantized, resize, steps
from conversion.core.spec import Spec
from conversion.proof.taps.network import Computed, Network, Run

MOVES = (
    *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CAST", "QUANTIZE", "DEQUANTIZE"),
    *("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"),
)
"""Operators that only move, cast or round elements."""


def network_of(model: Any, spec: Spec) -> Network:
    """The tensors of a LiteRT file that depend on its inputs, by more than their shape.

    Args:
        model: what `conversion.backends.litert_file.load` gives.
        spec: the model, for the order of inputs and outputs.

    Returns:
        The network; a tensor's name is its number in the file.
    """
    inputs, outputs = (tuple(map(str, each)) for each in ports(model, spec.inputs, spec.outputs))
    found = {name: Computed(name) for name in inputs}
    for each in model.subgraphs[0].operators:
        kind = operator(model, each)
        reads = tuple(dict.fromkeys(str(i) for i in each.inputs if str(i) in found))
        if reads and kind != "SHAPE":
            for name in map(str, each.outputs):
                found[name] = Computed(name, kind.lower(), reads, kind in MOVES)
    return Network(tuple(found.values()), inputs, outputs)


def runner(path: Path, network: Network, spec: Spec, threads: int) -> Run:
    """What gives the tensors of a LiteRT file that keeps every one, under its default delegate.

    Args:
        path: the file.
        network: of it.
        spec: the model, whose inputs are the file's in their order.
        threads: threads of an operator.
    """
    interpreter = open_interpreter(path, threads, keep=True)
    details = {str(each["index"]): each for each in interpreter.get_tensor_details()}

    def run(inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        feed = [inputs[name] for name in spec.inputs]
        resize(interpreter, [int(name) for name in network.inputs], len(feed[0]))
        for name, value in zip(network.inputs, feed, strict=True):
            whole, dtype = steps(details[name]), details[name]["dtype"]
            taken = value if whole is None else quantized(value, whole, np.empty_like(value))
            interpreter.set_tensor(int(name), taken.astype(dtype))
        interpreter.invoke()
        found = {name: _real(interpreter.get_tensor(int(name)), details[name]) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    return run


def _real(value: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray | None:
    if not value.ndim:
        return None
    if value.dtype.kind == "f":
        return value
    scales = detail["quantization_parameters"]["scales"]
    if value.dtype.kind not in "iu" or len(scales) != 1 or not scales[0]:
        return None
    zero = detail["quantization_parameters"]["zero_points"][0]
    return np.asarray((value.astype(np.float64) - zero) * scales[0], np.float32)
