"""A network as tensors that are computed from each other, whatever file it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Run = Callable[[Mapping[str, np.ndarray], Sequence[str]], dict[str, np.ndarray]]
"""Inputs by the model's names, ``(N, ...)``, and names of tensors, to those tensors as real
numbers; what is not an array of numbers is left out."""


@dataclass(frozen=True)
class Computed:
    """A tensor that a network computes, or one of its inputs.

    Attributes:
        name: its name, by which a runtime can be asked for it.
        kind: the operator that gives it, for messages; empty for an input.
        reads: the tensors that it is computed from and that depend on an input.
        moves: whether the operator only moves, casts or rounds elements.
    """

    name: str
    kind: str = ""
    reads: tuple[str, ...] = ()
    moves: bool = False


@dataclass(frozen=True, eq=False)
class Network:
    """A network's tensors.

    Attributes:
        tensors: every one that depends on an input, after all that it reads.
        inputs: names of the network's inputs, in the model's order.
        outputs: names of the network's outputs, in the model's order.
    """

    tensors: tuple[Computed, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Tensor to its place in the order."""
        return {each.name: index for index, each in enumerate(self.tensors)}

    @cached_property
    def readers(self) -> Mapping[str, list[Computed]]:
        """Tensor to those that are computed from it at once."""
        found: dict[str, list[Computed]] = {each.name: [] for each in self.tensors}
        for each in self.tensors:
            for name in dict.fromkeys(each.reads):
                found[name].append(each)
        return found

    @cached_property
    def _above(self) -> Mapping[str, int]:
        """Tensor to the set of those that it is computed from, itself too, a bit each."""
        found: dict[str, int] = {}
        for index, each in enumerate(self.tensors):
            found[each.name] = 1 << index
            for name in each.reads:
                found[each.name] |= found[name]
        return found

    def descends(self, tensor: str, ancestor: str) -> bool:
        """Whether a tensor is computed from another one, or is that."""
        return bool(self._above[tensor] >> self.position[ancestor] & 1)

    def kind(self, tensor: str) -> str:
        """The operator that gives a tensor."""
        return self.tensors[self.position[tensor]].kind

    def root(self, tensor: str) -> str:
        """The tensor of which one holds the same elements, perhaps elsewhere or rounded."""
        each = self.tensors[self.position[tensor]]
        while each.moves and len(each.reads) == 1:
            each = self.tensors[self.position[each.reads[0]]]
        return each.name

    def near(self, tensor: str, steps: int) -> list[str]:
        """Tensors computed from one in at most so many operators, the nearest first."""
        found, last = dict[str, None](), [tensor]
        for _ in range(steps):
            last = [each.name for name in last for each in self.readers[name]]
            found |= dict.fromkeys(last)
        return list(found)
