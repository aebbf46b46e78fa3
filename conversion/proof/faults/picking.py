"""Faults of any model: operators that fit the layers which its spec has, spread over artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.faults.fault import Fault
from conversion.proof.faults.operators import WHOLE, injection, known
from conversion.proof.standard.kinds import fitting
from conversion.proof.standard.table import STANDARD, rows, value_of

BLOCK = {"BatchNormalization", "Activation", "ReLU", "ZeroPadding2D", "Flatten", "Dropout"}
"""Classes that a converter may compute together with a layer beside them."""


def standard_faults(spec: Spec, artifacts: Sequence[str], seed: int = 0) -> list[Fault]:
    """The standard faults of a model, so ordered that the first of them are of many kinds.

    Args:
        spec: the model.
        artifacts: names of those that can be made of it.
        seed: of the order of layers.
    """
    drawn, groups = np.random.default_rng(seed), list[list[Fault]]()
    for stage, cells in rows(STANDARD):
        fits = fitting(cells[1], spec)
        for artifact in artifacts:
            is_integer = artifact.endswith("int8")
            of_int8 = stage in ("calibration", "quantization")
            if cells[0] in known(artifact) | set(WHOLE) and is_integer is of_int8:
                order = drawn.permutation(len(fits))
                groups.append([_fault(spec, stage, artifact, cells, fits[i]) for i in order])
    rounds = zip_longest(*(groups[i] for i in drawn.permutation(len(groups))))
    return [fault for each in rounds for fault in each if fault is not None]


def _fault(spec: Spec, stage: str, artifact: str, cells: Sequence[str], layer: Layer) -> Fault:
    operator, _, value, sizes, magnitude, _ = cells
    made = partial(injection, operator, artifact, [layer.name])
    return Fault(
        name=f"{artifact}-{operator}-{layer.name}",
        stage=stage,
        artifact=artifact,
        magnitude=magnitude,
        check="",
        where="" if operator in WHOLE else layer.name,
        inject=made(value_of(value)),
        sizes=tuple(map(float, sizes.split())),
        resized=made if sizes else None,
        fused=tuple(_block(spec, layer)),
    )


def _block(spec: Spec, layer: Layer) -> Iterator[str]:
    """The layers that a converter may compute together with one: before it and behind it."""
    readers: dict[str, list[Layer]] = {}
    for each in spec.layers:
        for name in each.inputs:
            readers.setdefault(name, []).append(each)
    behind = layer
    while len(readers.get(behind.name, ())) == 1:
        (behind,) = readers[behind.name]
        if behind.kind not in BLOCK:
            break
        yield behind.name
    before = layer
    while (before.kind in BLOCK or _is_flattened(spec, before)) and len(before.inputs) == 1:
        before = spec.layer(before.inputs[0])
        yield before.name


def _is_flattened(spec: Spec, layer: Layer) -> bool:
    """Whether it reads a Flatten, which does nothing but state the order of what it reads."""
    return any(spec.layer(name).kind == "Flatten" for name in layer.inputs)
