"""A network as operations on tensors, whatever file it comes from; names mean nothing in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

ACTIVATIONS = (
    *("relu", "clip", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax", "other"),
    *("threshold_relu",),
)
"""Kinds that change every element by itself or along the last axis; `other` is any unknown one."""

POOLS = ("max_pool", "average_pool", "global_average", "global_max")
"""Kinds that reduce windows or whole images."""

ANCHORS = ("conv", "dense", "sum", "product", "maximum", "minimum", "concat", *POOLS)
"""Kinds that tell one place in a network from another."""


@dataclass(frozen=True)
class Tensor:
    """A value in the file.

    Attributes:
        name: its name in the file.
        scale: of a quantized tensor; None for a float one.
        zero_point: of a quantized tensor.
    """

    name: str
    scale: float | None = None
    zero_point: int = 0


@dataclass(frozen=True, eq=False)
class Operation:
    """One step of a network.

    Attributes:
        kind: what it computes: ``conv``, ``dense``, ``scale``, ``shift``, ``norm``, ``relu``, ...
        reads: the tensors that it reads and that are not constants.
        writes: the tensor that it gives.
        constants: its constants by role (``kernel``, ``bias``, ``value``, ``scale``, ...).
        applies: activations that it computes in the same step.
        node: the node in the file, for messages.
        moves: whether it only moves or casts elements: transpose, reshape, quantize.
    """

    kind: str
    reads: tuple[str, ...]
    writes: str
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    applies: tuple[str, ...] = ()
    node: str = ""
    moves: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """A network's operations in an order in which every one comes after what it reads.

    Attributes:
        operations: every one, those that only move elements too.
        inputs: the network's inputs, in order.
        outputs: the network's outputs, in order.
        tensors: how each tensor is read out of the file.
        folds_forward: whether the converter multiplies the constant that ends a layer into the
            kernel that reads it.
    """

    operations: tuple[Operation, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    folds_forward: bool = False

    def readers(self) -> dict[str, list[Operation]]:
        """Tensor to the operations that read it, in order."""
        found: dict[str, list[Operation]] = {name: [] for name in self.tensors}
        for operation in self.operations:
            for name in dict.fromkeys(operation.reads):
                found.setdefault(name, []).append(operation)
        return found

    def writer(self) -> dict[str, Operation]:
        """Tensor to the operation that gives it."""
        return {operation.writes: operation for operation in self.operations}
