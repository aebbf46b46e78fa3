"""Ways to read a tensor as a layer's output: the order of its elements may be another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice, permutations
from math import prod

import numpy as np

FROM_FIRST, AS_IT_IS, FROM_LAST = 1, 0, -1
"""Which axis of a tensor are the channels that the reading brings to the other end."""

SAMPLED = 256
"""Elements of an image by which tensors are told apart before they are compared whole."""


@dataclass(frozen=True)
class Reading:
    """An order of elements.

    Attributes:
        shape: of an image in the file, however its axes are put together there.
        turn: whether its first axis goes to the end, the last to the front, or none moves.
        axes: the axes in the layer's order, where that is another one; empty where it is not.
    """

    shape: tuple[int, ...]
    turn: int
    axes: tuple[int, ...] = ()

    def of(self, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """A tensor as a layer's output.

        Args:
            value: the tensor, of any shape that holds ``N`` images one after another.
            shape: of the layer, without the batch axis.

        Returns:
            ``(N, *shape)``.

        Raises:
            ValueError: the tensor does not hold whole images of that size.
        """
        images = value.reshape(-1, *self.shape)
        if self.turn == FROM_FIRST:
            images = np.moveaxis(images, 1, -1)
        elif self.turn == FROM_LAST:
            images = np.moveaxis(images, -1, 1)
        elif self.axes:
            images = images.transpose(0, *(axis + 1 for axis in self.axes))
        return images.reshape(len(images), *shape)

    def places(self, wanted: np.ndarray) -> np.ndarray:
        """Where a tensor holds elements of the layer.

        Args:
            wanted: positions among the layer's elements, in its order.

        Returns:
            Positions among the tensor's.
        """
        whole = np.arange(prod(self.shape)).reshape(1, *self.shape)
        return np.asarray(self.of(whole, (whole.size,))[0][wanted])


def readings(found: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[Reading]:
    """The ways to read an image of one shape as one of another, the plainest first.

    Args:
        found: the tensor's shape, without the batch axis.
        wanted: the layer's, of as many elements.
    """
    yield Reading(found, AS_IT_IS)
    turned = [Reading(found, FROM_FIRST), Reading(found, FROM_LAST)]
    if len(wanted) > 1:
        turned.append(Reading((wanted[-1], *wanted[:-1]), FROM_FIRST))
        turned.append(Reading((*wanted[1:], wanted[0]), FROM_LAST))
    yield from (each for each in turned if len(each.shape) > 1)
    # what only permutes may be done before a layer or behind it
    if len(found) == len(wanted) > 2 and sorted(found) == sorted(wanted):
        for axes in islice(permutations(range(len(found))), 1, None):  # the first moves nothing
            if tuple(found[axis] for axis in axes) == wanted:
                yield Reading(found, AS_IT_IS, axes)


@cache
def sampled(size: int) -> np.ndarray:
    """Positions in an image of a size by which tensors are told apart, the same for all."""
    if size <= SAMPLED:
        chosen = np.arange(size)
    else:
        chosen = np.random.RandomState(size % 2**31).choice(size, SAMPLED, replace=False)
        chosen.sort()
    chosen.setflags(write=False)
    return chosen
