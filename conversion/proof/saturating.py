"""uint8 x int8 products as CPUs without VNNI sum them: two neighbours at a time, in 16 bits.

The instruction is ``vpmaddubsw``: ``a0*w0 + a1*w1`` of uint8 ``a`` and int8 ``w`` in a signed
16-bit integer that saturates, though two products reach 255*127*2 = 64770. MLAS's kernels for AVX2
and for AVX-512 without VNNI use it (`QgemmU8S8KernelAvx2`, `QgemmU8X8KernelAvx512Core`,
`ConvSymKernelAvx2`), and so do FBGEMM and oneDNN; VNNI's ``vpdpbusd`` sums in 32 bits. What counts
is which weights are neighbours. MLAS goes through a kernel channels last (height, width, input
channel; for a matrix the rows), four weights at a time, so the pairs are the elements 2i and 2i+1
in that order. Depthwise convolutions and uint8 x uint8 are multiplied in 16 bits and summed in 32,
and do not saturate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto

from conversion.backends.onnx_nodes import INTEGER, attributes, constants, values

HIGHEST = 255
"""The largest uint8 activation; every scheme of ONNX Runtime's uses all of them."""

WORD = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class Product:
    """A node that multiplies uint8 activations by an int8 kernel.

    Attributes:
        node: the node.
        kernel: ``(groups, K, N)`` int8, K in the order in which MLAS reads it.
        window: kernel size by axis; empty for a matrix product.
    """

    node: NodeProto
    kernel: np.ndarray
    window: tuple[int, ...]


@dataclass(frozen=True)
class Bound:
    """What the weights alone say of a product, whatever the activations.

    Attributes:
        worst: the largest sum of a pair of neighbours over what 16 bits hold; at most 1 is safe.
        any_order: the same for the worst two weights of an output, in whatever order.
        risky: pairs of neighbours that can saturate.
        pairs: pairs of neighbours.
    """

    worst: float
    any_order: float
    risky: int
    pairs: int


def products(model: ModelProto) -> list[Product]:
    """The nodes of a graph as deployed whose products can saturate, in its order.

    Args:
        model: the graph after every optimisation.
    """
    known = constants(model)
    found = []
    for node in model.graph.node:
        if node.op_type not in INTEGER:
            continue
        kernel = known.get(node.input[values(node.op_type)[1]])
        if kernel is None or kernel.dtype != np.int8:
            continue
        zero = known.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and zero.dtype == np.int8 and node.op_type != "DynamicQuantizeMatMul":
            continue  # int8 activations
        groups = int(attributes(node).get("group", 1))
        if "Conv" in node.op_type:
            if groups > 1 and kernel.shape[1] == 1 and kernel.shape[0] == groups:
                continue  # depthwise
            each = kernel.reshape(groups, -1, *kernel.shape[1:])
            last = np.moveaxis(each, 2, -1).reshape(groups, each.shape[1], -1)
            found.append(Product(node, last.transpose(0, 2, 1), kernel.shape[2:]))
        elif kernel.ndim == 2:
            turned = kernel.T if attributes(node).get("transB") else kernel
            found.append(Product(node, turned[None], ()))
    return found


def bound(product: Product) -> Bound:
    """How near the sums of pairs of a kernel can come to the ends of 16 bits."""
    low, high = _reach(product.kernel)
    over = (high > WORD.max) | (low < WORD.min)
    flat = np.sort(product.kernel.astype(np.int64), axis=1)
    two_high = HIGHEST * flat[:, -2:].clip(min=0).sum(axis=1)
    two_low = HIGHEST * flat[:, :2].clip(max=0).sum(axis=1)
    return Bound(_share(low, high), _share(two_low, two_high), int(over.sum()), int(over.size))


def unrolled(product: Product, value: np.ndarray, zero: int) -> np.ndarray:
    """What each output is the product of: ``(groups, K, positions)`` uint8.

    Args:
        product: the node.
        value: ``(N, ...)`` uint8, as the node reads it.
        zero: the zero point, which stands in the padding.
    """
    node, window = product.node, product.window
    if not window:
        return value.reshape(-1, value.shape[-1]).T[None]
    chosen, rank = attributes(node), len(window)
    if not chosen.get("channels_last"):
        value = np.moveaxis(value, 1, -1)
    strides = chosen.get("strides") or [1] * rank
    dilations = chosen.get("dilations") or [1] * rank
    reach = [(size - 1) * step + 1 for size, step in zip(window, dilations, strict=True)]
    pads = _pads(chosen, value.shape[1:-1], strides, reach)
    padded = np.pad(value, ((0, 0), *pads, (0, 0)), constant_values=zero)
    axes = tuple(range(1, rank + 1))
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axes)
    places = tuple(slice(None, None, stride) for stride in strides)
    taps = tuple(slice(None, None, step) for step in dilations)
    views = views[(slice(None), *places, slice(None), *taps)]  # N, positions, C, taps
    groups = product.kernel.shape[0]
    views = views.reshape(*views.shape[: rank + 1], groups, -1, *window)
    order = (rank + 1, *range(rank + 3, 2 * rank + 3), rank + 2, *range(rank + 1))
    return views.transpose(order).reshape(groups, product.kernel.shape[1], -1)


def sums(product: Product, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The sums of products in 32 bits, and what 16 bits take away from them.

    Args:
        product: the node.
        columns: ``(groups, K, positions)`` uint8.

    Returns:
        Exact sums and what saturation takes away, ``(groups, N, positions)`` int64, and how many
        sums of pairs saturate.
    """
    kernel = product.kernel
    exact = kernel.transpose(0, 2, 1).astype(np.float64) @ columns.astype(np.float64)
    lost, count = np.zeros(exact.shape, np.int64), 0
    even = kernel.astype(np.int32)[:, : kernel.shape[1] // 2 * 2]  # one left over cannot saturate
    low, high = _reach(kernel)
    risky = (high > WORD.max) | (low < WORD.min)
    for group, output in zip(*np.nonzero(risky.any(axis=1)), strict=True):
        for index in np.flatnonzero(risky[group, :, output]):
            first, second = even[group, 2 * index : 2 * index + 2, output]
            pair = columns[group, 2 * index : 2 * index + 2].astype(np.int32)
            both = pair[0] * first + pair[1] * second
            over = both - both.clip(WORD.min, WORD.max)
            lost[group, output] += over
            count += int(np.count_nonzero(over))
    return exact.astype(np.int64), lost, count


def _reach(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest sum of every pair of neighbours, ``(groups, K // 2, N)``."""
    whole = kernel.astype(np.int64)[:, : kernel.shape[1] // 2 * 2]
    pairs = whole.reshape(whole.shape[0], -1, 2, whole.shape[2])
    return (HIGHEST * pairs.clip(max=0).sum(axis=2), HIGHEST * pairs.clip(min=0).sum(axis=2))


def _share(low: np.ndarray, high: np.ndarray) -> float:
    ends = (low.min(initial=0) / WORD.min, high.max(initial=0) / WORD.max)
    return float(max(ends))


def _pads(
    chosen: dict[str, Any], sizes: Sequence[int], strides: Sequence[int], reach: Sequence[int]
) -> list[tuple[int, int]]:
    """Padding before and after each axis; ``SAME_*`` as the ONNX operator Conv defines it."""
    kind = chosen.get("auto_pad", b"NOTSET").decode()
    if not kind.startswith("SAME"):
        pads = chosen.get("pads") or [0] * (2 * len(reach))
        return list(zip(pads[: len(reach)], pads[len(reach) :], strict=True))
    totals = [
        max((-(-size // stride) - 1) * stride + over - size, 0)
        for size, stride, over in zip(sizes, strides, reach, strict=True)
    ]
    halves = [(total // 2, total - total // 2) for total in totals]
    return halves if kind == "SAME_UPPER" else [(after, before) for before, after in halves]
