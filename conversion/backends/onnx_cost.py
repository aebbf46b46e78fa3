"""What an ONNX graph costs to compute, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto

from conversion.backends.external_ports import Port
from conversion.backends.onnx_file import (
    inputs,
    open_session,
    ports_of,
    run_session,
    with_outputs,
)
from conversion.backends.onnx_nodes import MULTIPLYING, attributes, values
from conversion.core.errors import RunFailed, UserError

MOVING = (
    *("QuantizeLinear", "DequantizeLinear", "Cast", "Identity", "Constant", "Shape"),
    *("Transpose", "ReorderInput", "ReorderOutput", "Reshape", "Flatten", "Squeeze", "Unsqueeze"),
    *("Concat", "Slice", "Gather", "Pad"),
)
"""Operators that make no new numbers."""


def multiply_accumulates(
    model: ModelProto, images: Mapping[str, np.ndarray] | None = None
) -> dict[str, int]:
    """Multiply-accumulates of one image by node, named by its first output.

    The shapes are taken from a run on zeros: ONNX's own inference stops at the first operator of
    another domain, and a quantized graph is full of them.

    Args:
        model: the graph; an open size, such as the batch, counts as 1.
        images: input name to ``(1, ...)``, whose sizes are taken where the graph's are open.

    Raises:
        UserError: ONNX Runtime cannot run the graph.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    counted = [node for node in model.graph.node if node.op_type in MULTIPLYING]
    wanted = [name for node in counted for name in (_moved(node), _weight(node))]
    names = [name for name in dict.fromkeys(wanted) if name not in shapes]
    found = run_on_zeros(model, names, images)
    shapes.update({name: value.shape for name, value in found.items()})
    costs = {}
    for node in counted:
        weight = shapes[_weight(node)]
        per_element = int(np.prod(weight[1:])) if "Conv" in node.op_type else _depth(node, weight)
        costs[node.output[0]] = int(np.prod(shapes[_moved(node)])) * per_element
    return costs


def _weight(node: onnx.NodeProto) -> str:
    return str(node.input[values(node.op_type)[1]])


def _moved(node: onnx.NodeProto) -> str:
    """The tensor of which every element takes part once for each weight of its channel.

    A transposed convolution spreads each value that it reads; all others gather what they write.
    """
    return str(node.input[0] if node.op_type == "ConvTranspose" else node.output[0])


def run_on_zeros(
    model: ModelProto, names: Sequence[str], images: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Tensors inside a graph from one run on zeros with a batch of 1, for shapes and dtypes.

    Args:
        model: the graph.
        names: the tensors.
        images: input name to ``(1, ...)``, whose sizes are taken where the graph's are open.

    Raises:
        UserError: ONNX Runtime cannot run the graph.
    """
    try:
        session = open_session(with_outputs(model, names), "the graph", 1, optimised=False)
        types = {
            port.name: onnx.helper.tensor_dtype_to_np_dtype(_dtype(port)) for port in inputs(model)
        }
        feed = {
            port.name: np.zeros(_sizes(port, (images or {}).get(port.name)), types[port.name])
            for port in ports_of(session)
        }
        asked = [name for name in names if name not in feed]
        found = run_session(session, asked, feed) if asked else []
    except (UserError, RunFailed) as error:
        raise UserError(f"ONNX Runtime cannot run the graph to see its shapes: {error}") from None
    return {**feed, **dict(zip(asked, found, strict=True))}


def _sizes(port: Port, image: np.ndarray | None) -> list[int]:
    sizes = (1,) * len(port.shape) if image is None else port.taken(image).shape
    return [s if isinstance(s, int) else k for s, k in zip(port.shape, sizes, strict=True)]


def _dtype(port: onnx.ValueInfoProto) -> int:
    return int(port.type.tensor_type.elem_type)


def _depth(node: onnx.NodeProto, weight: Sequence[int]) -> int:
    return int(weight[-1] if attributes(node).get("transB") else weight[-2])
