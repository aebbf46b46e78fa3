"""Every tensor of a LiteRT file: which is computed from which, and its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from conversion.backends.litert_file import TYPES, operator, ports, stored
from conversion.backends.litert_runner import open_interpreter, quantized, resize, steps
from conversion.core.errors import RunFailed
from conversion.core.spec import Spec
from conversion.proof.metrics.int8 import Steps
from conversion.proof.taps.network import Computed, Constant, Network, Run, real_values

MOVES = (
    *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "CAST", "QUANTIZE", "DEQUANTIZE"),
    *("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"),
)
"""Operators that only move, cast or round elements."""

DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT32": np.dtype(np.float32),
    "FLOAT16": np.dtype(np.float16),
    "INT8": np.dtype(np.int8),
    "UINT8": np.dtype(np.uint8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
}
"""The format's names of those that arrays are looked at in."""


def network_of(model: Any, spec: Spec) -> Network:
    """The tensors of a LiteRT file that depend on its inputs, by more than their shape.

    Args:
        model: what `conversion.backends.litert_file.load` gives.
        spec: the model, for the order of inputs and outputs.

    Returns:
        The network; a tensor's name is its number in the file.
    """
    inputs, outputs = (tuple(map(str, each)) for each in ports(model, spec.inputs, spec.outputs))
    tensors, known = model.subgraphs[0].tensors, constants_of(model)
    found = {name: Computed(name, steps=_steps(tensors[int(name)])) for name in inputs}
    for each in model.subgraphs[0].operators:
        kind = operator(model, each)
        reads = tuple(dict.fromkeys(str(i) for i in each.inputs if str(i) in found))
        if reads and kind != "SHAPE":
            read = enumerate(each.inputs.tolist())
            constants = [replace(known[i], role=str(place)) for place, i in read if i in known]
            for name in map(str, each.outputs):
                own = _steps(tensors[int(name)])
                found[name] = Computed(
                    name, kind.lower(), reads, kind in MOVES, tuple(constants), own
                )
    return Network(tuple(found.values()), inputs, outputs)


def name_of(model: Any, tensor: str) -> str:
    """What a file calls a tensor of its network."""
    return str(model.subgraphs[0].tensors[int(tensor)].name.decode())


def constants_of(model: Any) -> dict[int, Constant]:
    """The arrays that a LiteRT file stores, by tensor; through what only makes them real numbers.

    Args:
        model: what `conversion.backends.litert_file.load` gives.
    """
    graph = model.subgraphs[0]
    found = {
        index: Constant(
            str(index),
            "",
            partial(_stored, model, tensor),
            () if tensor.shape is None else tuple(map(int, tensor.shape)),
            _steps(tensor),
            int(tensor.quantization.quantizedDimension if tensor.quantization else 0),
        )
        for index, tensor in enumerate(graph.tensors)
        if TYPES[tensor.type] in DTYPES and stored(model, tensor)
    }
    for each in graph.operators:
        first = int(each.inputs[0]) if len(each.inputs) else -1
        if operator(model, each) == "DEQUANTIZE" and first in found:
            found[int(each.outputs[0])] = found[first]
    return found


def runner(path: Path, network: Network, spec: Spec, threads: int) -> Run:
    """What gives the tensors of a LiteRT file that keeps every one, under its default delegate.

    Args:
        path: the file.
        network: of it.
        spec: the model, whose inputs are the file's in their order.
        threads: threads of an operator.
    """

    @cache  # opened by the first run: another process may be the one that runs it
    def opened() -> tuple[Interpreter, dict[str, Any]]:
        interpreter = open_interpreter(path, threads, keep=True)
        return interpreter, {str(each["index"]): each for each in interpreter.get_tensor_details()}

    def run(inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            return given(inputs, names)
        except (RuntimeError, ValueError) as error:  # LiteRT has no classes of its own
            sentence = " ".join(str(error).split())[:300]
            raise RunFailed(f"LiteRT stops: {sentence}") from None

    def given(inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        interpreter, details = opened()
        feed, ports = [inputs[name] for name in spec.inputs], [int(name) for name in network.inputs]
        for port, value in zip(ports, feed, strict=True):
            # Planned anew for each call: a second one may give other values under the same plan
            # (`tests/converter_faults/litert_second_call.py`), which `rows` says of the file.
            interpreter.resize_tensor_input(port, [len(value) + 1, *value.shape[1:]])
        resize(interpreter, ports, feed)
        for name, value in zip(network.inputs, feed, strict=True):
            whole, dtype = steps(details[name]), details[name]["dtype"]
            taken = value if whole is None else quantized(value, whole, np.empty_like(value))
            interpreter.set_tensor(int(name), taken.astype(dtype))
        interpreter.invoke()
        values = {name: interpreter.get_tensor(int(name)) for name in names}
        found = {name: real_values(each, network.of(name).steps) for name, each in values.items()}
        return {name: value for name, value in found.items() if value is not None}

    return run


def _steps(tensor: Any) -> Steps | None:
    """Scale and zero point of a tensor, or one of each for each channel."""
    held = tensor.quantization
    if held is None or held.scale is None or not len(held.scale) or not held.scale[0]:
        return None
    zeros = np.zeros(len(held.scale)) if held.zeroPoint is None else held.zeroPoint
    shape = () if len(held.scale) == 1 else (-1,)
    scale, zero = np.asarray(held.scale, np.float32), np.asarray(zeros, np.int64)
    return Steps(scale.reshape(shape), zero.astype(DTYPES[TYPES[tensor.type]]).reshape(shape))


def _stored(model: Any, tensor: Any) -> np.ndarray:
    content = np.frombuffer(stored(model, tensor), DTYPES[TYPES[tensor.type]])
    return np.asarray(content.reshape(() if tensor.shape is None else tensor.shape))
