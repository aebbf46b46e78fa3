"""Constants that a file adds and multiplies with, one after another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np

from conversion.proof.metrics import folding
from conversion.proof.metrics.folding import Affine
from conversion.proof.taps.network import Computed, Network

FIRST = ("a", "0")
"""What the formats call the first operand of an operator that has two."""

STATISTICS = ("input_mean", "input_var", "scale", "b")
"""ONNX's names of a BatchNormalization's mean, variance, gamma and beta."""

PASSED = ("slice", "strided_slice", "pad", "padv2", "depthtospace")
"""Kinds that keep, leave out or surround elements, as a transposed convolution is cut to size; or
put blocks together, as a dilated convolution is computed where the size is not known."""


def of_operator(each: Computed) -> Affine | None:
    """What an operator does to each channel; None where it is not adding and multiplying.

    Args:
        each: what an operator gives.
    """
    try:
        if each.kind == "batchnormalization":
            held = {c.role: folding.per_channel(c.real()) for c in each.constants}
            mean, variance, gamma, beta = (held[role] for role in STATISTICS)
            return folding.normalised(mean, variance, gamma, beta, float(held["epsilon"]))
        if len(each.reads) != 1 or len(each.constants) != 1:
            return None
        (constant,) = each.constants
        return _of_two(each.kind, constant.role in FIRST, folding.per_channel(constant.real()))
    except (KeyError, ValueError):  # an operand is computed, or is no constant of a channel
        return None


def _of_two(kind: str, is_first: bool, value: np.ndarray) -> Affine | None:
    if kind == "add":
        return folding.identity(value)
    if kind == "sub":
        moved = folding.identity(value if is_first else -value)
        return folding.scaled(np.float64(-1.0)).then(moved) if is_first else moved
    if kind == "mul":
        return folding.scaled(value)
    if kind == "div" and not is_first:
        return folding.scaled(1 / value)
    return None


def after(network: Network, tensor: str) -> list[Affine]:
    """What follows a tensor as long as it is added to and multiplied only, operator by operator.

    Whether elements are cut off before or after, or zeros put around them, is seen in the values.
    """
    found = list[Affine]()
    while len(network.readers[tensor]) == 1 and tensor not in network.outputs:
        (reader,) = network.readers[tensor]
        passed = reader.moves or reader.kind in PASSED
        step = None if passed else of_operator(reader)
        if step is None and not (passed and len(reader.reads) == 1):
            break
        found += [] if step is None else [step]
        tensor = reader.name
    return found


def before(network: Network, tensor: str, sources: Collection[str] = ()) -> list[Computed]:
    """The adding and multiplying that gives a tensor, in order, back to one of the sources.

    Args:
        network: a file's network.
        tensor: where to begin.
        sources: tensors that are taken as given; the network's inputs are, too.
    """
    found = list[Computed]()
    while tensor not in sources:
        each = network.of(tensor)
        passed = each.moves or each.kind in PASSED
        if len(each.reads) != 1 or not (passed or of_operator(each)):
            break
        found += [] if passed else [each]
        (tensor,) = each.reads
    return found[::-1]


def forwards(first: Affine, steps: Sequence[Affine]) -> list[Affine]:
    """What an operation does with none of the steps behind it, with one, with two, ...

    Steps of other channels, such as behind a Reshape, are no part of it.
    """
    found = [first]
    with suppress(ValueError):
        for step in steps:
            found.append(found[-1].then(step))
    return found


def backwards(steps: Sequence[Affine]) -> list[Affine]:
    """What none of the steps does, what the last one does, the last two, ...; as `forwards`."""
    found = [folding.identity()]
    with suppress(ValueError):
        for step in reversed(steps):
            found.append(step.then(found[-1]))
    return found
