"""The orders in which files hold the elements of a weight."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from conversion.core.spec import Layer

ORDERS = {
    **dict.fromkeys(("conv", "fusedconv", "qlinearconv", "convinteger"), "OIS"),
    "convtranspose": "IOS",
    **dict.fromkeys(("matmul", "gemm", "fusedmatmul", "fusedgemm"), "SIO"),
    **dict.fromkeys(("qlinearmatmul", "qgemm", "matmulinteger", "dynamicquantizematmul"), "SIO"),
    **dict.fromkeys(("conv_2d", "transpose_conv", "fully_connected"), "OSI"),
    "depthwise_conv_2d": "ISO",
    **dict.fromkeys(("conv_3d", "batch_matmul"), "SIO"),
}
"""Operator, in lower case, to the order of its kernel's axes: space, read and given channels."""


def kernel(layer: Layer, role: str) -> np.ndarray:
    """A kernel with its channels last.

    Args:
        layer: as the spec has it.
        role: one of `core.spec.KERNELS`.

    Returns:
        ``(*space, read, given)``; of a depthwise kernel ``(*space, 1, given)``.
    """
    found = layer.weights[role]
    if layer.kind.startswith("Depthwise") or role == "depthwise_kernel":  # (..., C, multiplier)
        return found.reshape(*found.shape[:-2], 1, -1)
    return found.swapaxes(-1, -2) if layer.kind.endswith("Transpose") else found


def ordered(value: np.ndarray, order: str) -> np.ndarray:
    """A kernel with its axes in an order.

    Args:
        value: ``(*space, read, given)``.
        order: the letters ``S``, ``I`` and ``O``, as in `ORDERS`.
    """
    rank = value.ndim
    axes = {"S": tuple(range(rank - 2)), "I": (rank - 2,), "O": (rank - 1,)}
    return value.transpose([axis for letter in order for axis in axes[letter]])


def orders(operator: str) -> Iterator[str]:
    """The orders in which an operator may hold a kernel: one, if it is known."""
    if operator in ORDERS:
        yield ORDERS[operator]
    else:
        yield from map("".join, permutations("SIO"))


def turned(value: np.ndarray) -> Iterator[np.ndarray]:
    """Any other weight in the orders that are usual: as it is, channels first, back to front."""
    yield value
    if value.ndim > 1:
        yield np.moveaxis(value, -1, 0)
    if value.ndim > 2:
        yield np.moveaxis(value, 0, -1)


def fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether two shapes are the same but for axes of one element."""
    return [size for size in found if size != 1] == [size for size in wanted if size != 1]
