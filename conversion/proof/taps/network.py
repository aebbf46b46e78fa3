"""A network as tensors that are computed from each other, whatever file it comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from conversion.proof.metrics.folding import along
from conversion.proof.metrics.int8 import Steps

Run = Callable[[Mapping[str, np.ndarray], Sequence[str]], dict[str, np.ndarray]]
"""Inputs by the model's names, ``(N, ...)``, and names of tensors, to those tensors as real
numbers; what is not an array of numbers is left out."""


@dataclass(frozen=True, eq=False)
class Constant:
    """An array that a file stores and an operator reads.

    Attributes:
        name: its name in the file.
        role: which operand it is, by the name that the file's format has for that.
        stored: gives it as the file has it: integers where it is quantized.
        shape: of it.
        steps: what its integers stand for; None where it is stored in float.
        axis: the one of the channels, where there is one scale for each.
    """

    name: str
    role: str
    stored: Callable[[], np.ndarray]
    shape: tuple[int, ...]
    steps: Steps | None = None
    axis: int = 0

    def real(self) -> np.ndarray:
        """Its values: as they are stored, or in float64 what their integers stand for.

        Raises:
            ValueError: there is not one scale, nor one for each channel.
        """
        value = self.stored()
        if self.steps is None:
            return value
        scale, zero = (
            along(np.asarray(each, np.float64).reshape(-1), value.ndim, self.axis)
            if each.size > 1
            else np.asarray(each, np.float64).reshape(())
            for each in (self.steps.scale, self.steps.zero_point)
        )
        return np.asarray((value - zero) * scale)


@dataclass(frozen=True, eq=False)
class Computed:
    """A tensor that a network computes, or one of its inputs.

    Attributes:
        name: its name, by which a runtime can be asked for it.
        kind: the operator that gives it, for messages; empty for an input.
        reads: the tensors that it is computed from and that depend on an input.
        moves: whether the operator only moves, casts or rounds elements.
        constants: the arrays that the operator reads, in its order.
        steps: what its integers stand for; None where it holds real numbers.
    """

    name: str
    kind: str = ""
    reads: tuple[str, ...] = ()
    moves: bool = False
    constants: tuple[Constant, ...] = ()
    steps: Steps | None = None


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

    def of(self, tensor: str) -> Computed:
        """A tensor by its name."""
        return self.tensors[self.position[tensor]]

    def kind(self, tensor: str) -> str:
        """The operator that gives a tensor."""
        return self.of(tensor).kind

    def between(self, sources: Collection[str], end: str) -> list[Computed]:
        """What computes a tensor from others, in order, itself the last.

        Args:
            sources: tensors that are taken as given.
            end: the tensor.
        """
        found, waiting = set[str](), [end]
        while waiting:
            name = waiting.pop()
            if name not in found and name not in sources:
                found.add(name)
                waiting += self.of(name).reads
        return [each for each in self.tensors if each.name in found]

    @property
    def is_dynamic(self) -> bool:
        """Whether ranges are computed as the file runs, over all images of a batch."""
        return any("dynamicquantize" in each.kind for each in self.tensors)

    def root(self, tensor: str) -> str:
        """The tensor of which one holds the same elements, perhaps elsewhere or rounded."""
        each = self.of(tensor)
        while each.moves and len(each.reads) == 1:
            each = self.of(each.reads[0])
        return each.name

    def near(self, tensor: str, steps: int) -> list[str]:
        """Tensors computed from one in at most so many operators, the nearest first."""
        found, last = dict[str, None](), [tensor]
        for _ in range(steps):
            last = [each.name for name in last for each in self.readers[name]]
            found |= dict.fromkeys(last)
        return list(found)


def real_values(value: object, steps: Steps | None) -> np.ndarray | None:
    """What a runtime gives for a tensor as real numbers; None where it is no array of numbers.

    Args:
        value: as the runtime has it.
        steps: what its integers stand for; None where it holds real numbers.
    """
    if not isinstance(value, np.ndarray) or not value.ndim:
        return None
    if value.dtype.kind == "f":
        return value
    if value.dtype.kind not in "iu" or steps is None or steps.scale.size != 1:
        return None
    pair = steps.scale, steps.zero_point
    scale, zero = (np.asarray(each, np.float64).reshape(()) for each in pair)
    return np.asarray((value - zero) * scale, np.float32)
