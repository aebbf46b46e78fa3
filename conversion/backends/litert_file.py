"""What a `.tflite` file holds: operators, constants, ports, and the provenance in its metadata."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from conversion.core.errors import UserError
from conversion.core.spec import Spec

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every such file (TensorFlow's `schema.fbs`: `file_identifier`)."""

PREFIX = "conversion."
"""Of the names of this project's entries in a file's metadata."""

TYPES = {code: name for name, code in vars(schema.TensorType).items() if name[0] != "_"}
OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}


def load(path: Path) -> Any:
    """Read a `.tflite` file.

    Args:
        path: the file.

    Returns:
        The model as the object that the schema describes (`ModelT`).

    Raises:
        UserError: the file is missing or is no such file.
    """
    if not path.is_file():
        raise UserError(f"Expected a LiteRT file at {path}; there is none.")
    content = path.read_bytes()
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0) if content[4:8] == IDENTIFIER else None
    except Exception:  # a damaged file makes flatbuffers raise whatever its offsets lead to
        model = None
    if model is None or not model.subgraphs or not model.subgraphs[0].operators:
        raise UserError(f"Expected a LiteRT file at {path}; it cannot be parsed.")
    return model


def operator(model: Any, operation: Any) -> str:
    """The name of an operation's operator, such as ``CONV_2D``."""
    code = model.operatorCodes[operation.opcodeIndex]
    return str(OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)])


def stored(model: Any, tensor: Any) -> memoryview:
    """The bytes of a constant, not copied; empty for what is computed."""
    data = model.buffers[tensor.buffer].data
    return memoryview(b"" if data is None else data).cast("B")


def census(model: Any) -> dict[str, Any]:
    """Counts of what is in a file: operators, and dtypes of its constants and of what it computes.

    Args:
        model: what `load` gives.
    """
    graph = model.subgraphs[0]
    constant, computed, parameters = Counter[str](), Counter[str](), 0
    for tensor in graph.tensors:
        size = len(stored(model, tensor))
        (constant if size else computed)[TYPES[tensor.type]] += 1
        parameters += int(np.prod(tensor.shape)) if size else 0
    names = Counter(operator(model, each) for each in graph.operators)
    return {
        "nodes": len(graph.operators),
        "operators": dict(sorted(names.items())),
        "constant_dtypes": dict(sorted(constant.items())),
        "computed_dtypes": dict(sorted(computed.items())),
        "parameters": parameters,
    }


def eight_bit_elements(model: Any) -> int:
    """How many elements of kernels are stored in eight bits; scalars and vectors do not count."""
    eight = (schema.TensorType.INT8, schema.TensorType.UINT8)
    kernels = (
        tensor
        for tensor in model.subgraphs[0].tensors
        if tensor.type in eight and np.size(tensor.shape) > 1 and stored(model, tensor)
    )
    return sum(int(np.prod(tensor.shape)) for tensor in kernels)


def float_operators(model: Any, known: Collection[int] = ()) -> list[str]:
    """Operators that compute with real numbers.

    Casts between them and whole ones do not count, nor does what asks for a shape.

    Args:
        model: what `load` gives.
        known: tensors whose operators do not count either.
    """
    graph, found = model.subgraphs[0], set[str]()
    for operation in graph.operators:
        ends = (int(i) for i in (*operation.inputs, *operation.outputs) if i >= 0)
        name = operator(model, operation)
        passes = name in ("QUANTIZE", "DEQUANTIZE", "SHAPE")
        counts = not passes and int(operation.outputs[0]) not in known
        if counts and any(
            TYPES[graph.tensors[index].type].startswith(("FLOAT", "BFLOAT")) for index in ends
        ):
            found.add(name)
    return sorted(found)


def smallest_scale(path: Path, spec: Spec) -> str:
    """Which activation has the smallest scale: LiteRT does not run a file where one is next to 0.

    Args:
        path: an int8 file.
        spec: the model, whose layers the converter's names of tensors name.
    """
    model = load(path)
    found = [
        (float(tensor.quantization.scale[0]), tensor.name.decode())
        for tensor in model.subgraphs[0].tensors
        if not stored(model, tensor)
        and tensor.quantization is not None
        and tensor.quantization.scale is not None
        and len(tensor.quantization.scale) == 1
    ]
    if not found:
        return ""
    scale, name = min(found)
    parts = re.split("[/;]", name)
    named = {part for each in parts for part in (each, re.sub(r"_\d+$", "", each))}
    layers = [layer.name for layer in spec.layers if layer.name in named]
    return (
        f"the smallest scale of an activation is {scale:.3g}, of '{(layers or [name])[0]}': one "
        "next to 0 comes from an activation that is 0 on every calibration image; calibrate on "
        "images on which it is not, or leave the layer in float (--float-layers)"
    )


def ports(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[list[int], list[int]]:
    """Numbers of the tensors that are the source model's inputs and outputs, in its order.

    The file lists its outputs in an order of its own (TensorFlow 2.21 turns two round); its
    signature has their names: a Keras model's are ``output_0``, ``output_1``, ...

    Args:
        model: what `load` gives.
        inputs: the source model's input names.
        outputs: the source model's output names.
    """
    graph = model.subgraphs[0]
    found = [int(i) for i in graph.inputs], [int(i) for i in graph.outputs]
    if not model.signatureDefs:
        return found
    signature = model.signatureDefs[0]
    ends = zip(
        found,
        (signature.inputs, signature.outputs),
        (inputs, outputs),
        ([], [f"output_{index}" for index in range(len(outputs))]),
        strict=True,
    )
    ordered = []
    for listed, maps, names, numbered in ends:
        named = {each.name.decode(): int(each.tensorIndex) for each in maps or ()}
        keys = next((k for k in (list(names), numbered) if k and set(k) == set(named)), [])
        ordered.append([named[key] for key in keys] or listed)
    return ordered[0], ordered[1]


def save(content: bytes, target: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Write a provenance into a file's own metadata and save it.

    The converter fills its metadata in the same way: unpacked, extended, packed in Python.

    Args:
        content: the file.
        target: where to save it.
        provenance: plain values; each becomes an entry `conversion.<key>`.

    Returns:
        The census, for the artifact's notes.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.metadata = list(model.metadata or ())
    for key, value in provenance.items():
        entry, buffer = schema.MetadataT(), schema.BufferT()
        entry.name, entry.buffer = f"{PREFIX}{key}", len(model.buffers)
        buffer.data = np.frombuffer(str(value).encode(), np.uint8)
        model.metadata.append(entry)
        model.buffers.append(buffer)
    target.write_bytes(packed(model))
    return {"census": census(model)}


def packed(model: Any) -> bytes:
    """A model as the bytes of its file."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def stated(model: Any) -> dict[str, str]:
    """The provenance that a LiteRT file states in its own metadata."""
    return {
        name.removeprefix(PREFIX): bytes(model.buffers[entry.buffer].data).decode()
        for entry in model.metadata or ()
        if (name := entry.name.decode()).startswith(PREFIX)
    }


def stated_source(path: Path) -> str | None:
    """The digest of the source file that a LiteRT file states in its own metadata."""
    return stated(load(path)).get("source")
