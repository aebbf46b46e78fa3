"""A deployed int8 graph run node by node, with the sums of 16 bits of CPUs without VNNI."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from conversion.backends.onnx_file import open_session, run_session
from conversion.backends.onnx_nodes import attributes, constants, places, values
from conversion.proof.saturating import (
    Product,
    products,
    sums,
    unrolled,
)

BLOCK = 1 << 23
"""Elements of unrolled images at a time, to bound memory."""

REQUANTIZED = ("QLinearConv", "QLinearMatMul", "QGemm")
"""Operators that are emulated: their sums go straight to eight bits."""

Values = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Emulated:
    """What saturation does at one node.

    Attributes:
        product: the node.
        sums: sums of two products.
        saturated: how many of them saturate.
        outputs: how many results it has.
        changed: how many of them its own saturation changes.
        faithful: whether without saturation, or with it on a CPU that has it, the results are
            ONNX Runtime's bit by bit.
        exact: its results without any saturation in the network.
        wrong: its results with it, at this node and ahead of it.
    """

    product: Product
    sums: int
    saturated: int
    outputs: int
    changed: int
    faithful: bool
    exact: np.ndarray
    wrong: np.ndarray


@dataclass(frozen=True, eq=False)
class Emulation:
    """A network with and without saturation.

    Attributes:
        nodes: the nodes that can saturate, in order.
        exact: the network's outputs without it, in order.
        wrong: the same with it.
    """

    nodes: tuple[Emulated, ...]
    exact: tuple[np.ndarray, ...]
    wrong: tuple[np.ndarray, ...]


def emulate(model: ModelProto, feed: Mapping[str, np.ndarray]) -> Emulation:
    """Run every node twice: as a CPU with VNNI would, and as one without.

    Args:
        model: the graph after every optimisation.
        feed: input name to ``(N, ...)``.

    Raises:
        UserError: ONNX Runtime cannot open a node on its own.
        RunFailed: a node stops.
    """
    known, found = constants(model), []
    risky = {p.node.output[0]: p for p in products(model) if p.node.op_type in REQUANTIZED}
    exact: Values = dict(feed)
    wrong: Values = dict(feed)
    for node in model.graph.node:
        run = _runner(model, node, known)
        results = run(exact)
        product = risky.get(node.output[0])
        if product is None:
            same = all(wrong.get(name) is exact.get(name) for name in node.input)
            exact.update(results)
            wrong.update(results if same else run(wrong))
            continue
        seen = _emulated(product, known, results[node.output[0]], exact, wrong)
        found.append(seen)
        exact[node.output[0]], wrong[node.output[0]] = seen.exact, seen.wrong
    ends = [value.name for value in model.graph.output]
    outputs = (tuple(values[name] for name in ends) for values in (exact, wrong))
    return Emulation(tuple(found), *outputs)


def _emulated(
    product: Product, known: Values, runtime: np.ndarray, exact: Values, wrong: Values
) -> Emulated:
    name, shape = product.node.input[0], runtime.shape
    clean = _both(product, known, exact[name], shape)
    shared = wrong[name] is exact[name]
    right, saturating, count = clean if shared else _both(product, known, wrong[name], shape)
    outputs = int(right.size)
    changed = int(np.count_nonzero(right != saturating))
    return Emulated(
        product,
        sums=outputs * (product.kernel.shape[1] // 2),
        saturated=count,
        outputs=outputs,
        changed=changed,
        faithful=any(np.array_equal(runtime, each) for each in clean[:2]),
        exact=clean[0],
        wrong=clean[0] if shared and not changed else saturating,
    )


def _both(
    product: Product, known: Values, value: np.ndarray, shape: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, int]:
    """Results without and with saturation, and how many sums of pairs saturate."""
    node, window = product.node, product.window
    parameters = _parameters(node, known)
    each = int(np.prod(value.shape[1:])) * int(np.prod(window))
    step = max(BLOCK // each, 1)
    right: list[np.ndarray] = []
    wrong: list[np.ndarray] = []
    count = 0
    for start in range(0, len(value), step):
        images = value[start : start + step]
        columns = unrolled(product, images, int(parameters["zero"].flat[0]))
        total, lost, saturated = sums(product, columns)
        total += _offset(product, parameters, columns)
        count += saturated
        for found, parts in ((total, right), (total - lost, wrong)):
            flat = requantized(found, parameters, float(attributes(node).get("alpha", 1.0)))
            parts.append(_laid_out(flat, product, (len(images), *shape[1:])))
    return np.concatenate(right), np.concatenate(wrong), count


def _parameters(node: NodeProto, known: Values) -> Values:
    """Scales, zero points and bias of a node by role."""
    (_, *read), (_, *kernel), (_, *result) = places(node)
    positions = dict(zip(_ROLES, (*read, *kernel, *result), strict=True))
    added = values(node.op_type)[2:]
    if added and added[0] < len(node.input):
        positions["bias"] = added[0]
    return {role: known.get(node.input[index], _NONE) for role, index in positions.items()}


def _offset(
    product: Product, parameters: Mapping[str, np.ndarray], columns: np.ndarray
) -> np.ndarray:
    """What zero points and bias add to the sums of products, ``(groups, N, 1 or positions)``."""
    kernel = product.kernel.astype(np.int64)
    zero, kernel_zero = (int(parameters[role].flat[0]) for role in ("zero", "kernel_zero"))
    offset: np.ndarray = (
        kernel.shape[1] * zero * kernel_zero - zero * kernel.sum(axis=1)[:, :, None]
    )
    if kernel_zero:
        offset = offset - kernel_zero * columns.sum(axis=1, dtype=np.int64)[:, None]
    bias = parameters.get("bias", _NONE)
    return (
        np.asarray(offset + bias.astype(np.int64).reshape(len(kernel), -1, 1))
        if bias.size
        else offset
    )


def requantized(
    total: np.ndarray, parameters: Mapping[str, np.ndarray], alpha: float = 1.0
) -> np.ndarray:
    """Sums in eight bits, in the order of ONNX Runtime's float32 operations.

    Args:
        total: ``(groups, N, positions)`` integers, zero points and bias included.
        parameters: role to scale or zero point of activations, kernel and result.
        alpha: a factor of the product.
    """
    zero = parameters["result_zero"]
    scale = np.float32(alpha) * parameters["scale"].ravel() * parameters["kernel_scale"].ravel()
    scale = scale / parameters["result_scale"].ravel()
    by_output = np.broadcast_to(scale, total.shape[0] * total.shape[1])
    real = total.astype(np.float32) * by_output.reshape(*total.shape[:2], 1)
    ends, shift = np.iinfo(zero.dtype), int(zero.flat[0])
    clipped = real.clip(np.float32(ends.min - shift), np.float32(ends.max - shift))
    return np.asarray((np.rint(clipped).astype(np.int32) + shift).astype(zero.dtype))


def _laid_out(flat: np.ndarray, product: Product, shape: Sequence[int]) -> np.ndarray:
    """``(groups, N, positions)`` in the shape and layout of the node's result."""
    joined = flat.reshape(-1, flat.shape[2])
    if not product.window:
        return np.ascontiguousarray(joined.T).reshape(shape)
    last = bool(attributes(product.node).get("channels_last"))
    spatial = shape[1:-1] if last else shape[2:]
    whole = joined.reshape(-1, shape[0], *spatial)
    return np.ascontiguousarray(np.moveaxis(whole, 0, -1 if last else 1))


def _runner(model: ModelProto, node: NodeProto, known: Values) -> Callable[[Values], Values]:
    """A node as a model of its own; its constants are constants there too, and packed alike."""
    stored = [numpy_helper.from_array(known[name], name) for name in set(node.input) & set(known)]
    fed = [name for name in dict.fromkeys(node.input) if name and name not in known]
    names = [name for name in node.output if name]

    def run(values: Values) -> Values:
        feed = {name: values[name] for name in fed}
        ports = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim
            )
            for name, array in feed.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in names]
        graph = helper.make_graph([node], "node", ports, outputs, stored)
        alone = helper.make_model(
            graph, opset_imports=model.opset_import, ir_version=model.ir_version
        )
        session = open_session(alone.SerializeToString(), node.op_type, 1, optimised=False)
        return dict(zip(names, run_session(session, names, feed), strict=True))

    return run


_NONE = np.zeros(0, np.int32)
_ROLES = (*("scale", "zero", "kernel_scale", "kernel_zero", "result_scale", "result_zero"),)
