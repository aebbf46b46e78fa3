"""Faults of any model: operators that fit the layers which its spec has, spread over artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.faults.fault import Fault
from conversion.proof.faults.operators import injection, known
from conversion.proof.faults.table import rows, value_of
from conversion.proof.metrics.layouts import ROLES

ROWS = Path(__file__).with_name("standard.txt")
BLOCK = {"BatchNormalization", "Activation", "ReLU", "ZeroPadding2D", "Flatten", "Dropout"}
"""Classes that a converter may compute together with a layer beside them."""

FUNCTIONS = ("relu", "relu6", "sigmoid", "tanh", "elu")


def _shape(layer: Layer) -> tuple[int, ...]:
    return next((layer.weights[role].shape for role in ROLES if role in layer.weights), ())


def _is_plain(layer: Layer) -> bool:
    return "kernel" in layer.weights and len(_shape(layer)) in (2, 4)


def _has_window(layer: Layer) -> bool:
    return len(_shape(layer)) == 4 and min(_shape(layer)[:2]) > 1


FITS: Mapping[str, Callable[[Layer], bool]] = {
    "kernel": lambda layer: bool(_shape(layer)),
    "bias": lambda layer: bool(_shape(layer)) and bool(np.any(layer.weights.get("bias", 0))),
    "plain": _is_plain,
    "window": _has_window,
    "square": lambda layer: _has_window(layer) and _shape(layer)[0] == _shape(layer)[1],
    "as-many": lambda layer: _is_plain(layer) and _shape(layer)[-1] == _shape(layer)[-2] > 1,
    "norm": lambda layer: layer.kind == "BatchNormalization",
    "affine": lambda layer: {"gamma", "beta"} <= set(layer.weights),
    "activation": lambda layer: layer.kind == "ReLU" or layer.activation in FUNCTIONS,
    "relu": lambda layer: (
        (layer.kind, layer.activation) == ("Activation", "relu") or layer.kind == "ReLU"
    ),
    "pooling": lambda layer: "Pooling2D" in layer.kind,
    "sum": lambda layer: layer.kind == "Add",
    "ordered": lambda layer: layer.kind in ("Concatenate", "Subtract"),
    "softmax": lambda layer: layer.activation == "softmax",
}
"""Word of the table to whether a layer can have the fault."""


def standard_faults(spec: Spec, artifacts: Sequence[str], seed: int = 0) -> list[Fault]:
    """The standard faults of a model, so ordered that the first of them are of many kinds.

    Args:
        spec: the model.
        artifacts: names of those that can be made of it.
        seed: of the order of layers.
    """
    drawn, groups = np.random.default_rng(seed), list[list[Fault]]()
    for stage, cells in rows(ROWS):
        fits = [layer for layer in spec.layers if FITS[cells[1]](layer)]
        for artifact in artifacts:
            is_integer = artifact.endswith("int8")
            if cells[0] in known(artifact) and is_integer is (stage == "quantization"):
                order = drawn.permutation(len(fits))
                groups.append([_fault(spec, stage, artifact, cells, fits[i]) for i in order])
    rounds = zip_longest(*(groups[i] for i in drawn.permutation(len(groups))))
    return [fault for each in rounds for fault in each if fault is not None]


def _fault(spec: Spec, stage: str, artifact: str, cells: Sequence[str], layer: Layer) -> Fault:
    operator, _, value, sizes, magnitude = cells
    made = partial(injection, operator, artifact, [layer.name])
    return Fault(
        name=f"{artifact}-{operator}-{layer.name}",
        stage=stage,
        artifact=artifact,
        magnitude=magnitude,
        check="",
        where=layer.name,
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
    while before.kind in BLOCK and len(before.inputs) == 1:
        before = spec.layer(before.inputs[0])
        yield before.name
