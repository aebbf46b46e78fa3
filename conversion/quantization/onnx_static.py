"""Static int8 for ONNX Runtime, from recorded ranges."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from conversion.backends.backend import Ingredients
from conversion.backends.onnx_file import (
    OnnxRunner,
    contents,
    load,
    opset,
    save,
    stated_source,
)
from conversion.core.artifact import Artifact, Runner
from conversion.core.errors import UserError
from conversion.core.settings import PER_CHANNEL_OPSET
from conversion.quantization.coverage import without_effect
from conversion.quantization.onnx_ranges import METHODS

__all__ = ["build", "open", "stated_source"]

TYPES = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
FORMATS = {"qoperator": QuantFormat.QOperator, "qdq": QuantFormat.QDQ}


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Quantize the prepared graph with the recorded ranges.

    Returns:
        The provenance: scheme, calibration, versions, census.

    Raises:
        UserError: per-channel weights are asked for below opset 13.
    """
    scheme = ingredients.settings.onnx
    graph, ranges = ingredients.artifacts["onnx-prepared"], ingredients.artifacts["onnx-ranges"]
    prepared = load(graph.path)
    found = opset(prepared)
    if scheme.per_channel and found < PER_CHANNEL_OPSET:
        raise UserError(
            f"Per-channel quantization needs opset {PER_CHANNEL_OPSET} or later; the ONNX file has "
            f"{found}: convert it again with --opset 15, or quantize per tensor."
        )
    kept = activations_to_keep(prepared, scheme.format)
    places = json.loads(ingredients.artifacts["onnx-places"].path.read_text())
    floats = [node for name in scheme.float_layers for node in places.get(name, [])]
    # The ranges file is passed as ONNX Runtime's calibration cache. That cache is not keyed to
    # model or data; ours is, by the store.
    quantize_static(
        graph.path,
        target,
        None,
        calibration_cache_path=ranges.path,
        calibrate_method=METHODS[scheme.method],
        quant_format=FORMATS[scheme.format],
        activation_type=TYPES[scheme.activations],
        weight_type=TYPES[scheme.weights],
        per_channel=scheme.per_channel,
        reduce_range=scheme.seven_bits,
        nodes_to_exclude=[*floats, *kept],
    )
    model = onnx.load(target)
    route = f"onnxruntime quantize_static, {scheme.label}"
    if scheme.per_channel and (scheme.weights, scheme.format) == ("uint8", "qoperator"):
        route += "; kernels of convolutions in int8, as ONNX Runtime has it per channel"
    if kept:
        route += f"; {len(kept)} activations in float, which ONNX Runtime would leave out"
    provenance = {
        "source": ingredients.spec.digest,
        "route": route,
        "opset": opset(model),
        "onnx": graph.digest,
        "ranges": ranges.digest,
        "calibration": ranges.provenance["calibration"],
        "versions": ingredients.versions,
    }
    save(model, target, provenance)
    return {
        **provenance,
        **contents(model),
        "warnings": without_effect(scheme.float_layers, places),
    }


def activations_to_keep(model: ModelProto, format_: str) -> list[str]:
    """Activations that ONNX Runtime would leave out though no zero point makes their clamp.

    It replaces a ReLU or Clip by the range of what it reads, which then holds nothing below it. In
    QOperator format it does so as well where what it reads has another reader or takes over the
    scale of something else, as a maximum pooling does: the activation is then lost without a word.
    In both formats an output of the network would be cut at the range of the ReLU that reads it.

    Args:
        model: the prepared graph.
        format_: ``qoperator`` or ``qdq``.

    Returns:
        The names of the nodes.
    """
    graph = model.graph
    writers = {name: node.op_type for node in graph.node for name in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    outputs = {value.name for value in graph.output}
    return [
        node.name
        for node in graph.node
        if node.op_type in ("Relu", "Clip")
        for read in [node.input[0]]
        if read in outputs
        or (format_ == "qoperator" and (readers[read] > 1 or writers.get(read) not in RANGED))
    ]


RANGED = (
    *("Conv", "Gemm", "MatMul", "Add", "Mul", "LeakyRelu", "Sigmoid"),
    *("AveragePool", "GlobalAveragePool", "Concat"),
)
"""Operators whose results have a range of their own in QOperator format."""


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Open the file in ONNX Runtime on the CPU, fully optimised."""
    spec = ingredients.spec
    return OnnxRunner(artifact, spec.inputs, spec.outputs, threads)
