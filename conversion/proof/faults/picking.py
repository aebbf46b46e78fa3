"""Faults of any model: operators that fit the layers which its spec has, spread over artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.faults.fault import Fault
from conversion.proof.faults.operators import injection, known
from conversion.proof.faults.places import KERNELS

SHARES = (0.1, 0.01, 1e-3, 1e-4, 1e-5)
RECTIFIED = ("relu", "ReLU")
BLOCK = {"BatchNormalization", "Activation", "ReLU", "ZeroPadding2D", "Flatten", "Dropout"}
"""Classes that a converter may compute together with a layer beside them."""


@dataclass(frozen=True)
class Standard:
    """A standard fault of a kind of layer.

    Attributes:
        operator: what injects it, in every kind of artifact that has an operator of that name.
        magnitude: how large it is, in words.
        fits: whether a layer can have it.
        value: the operator's size or other value for a layer.
        sizes: where it has a size, those to try.
        integer: whether it belongs to int8 artifacts; float ones get the others.
    """

    operator: str
    magnitude: str
    fits: Callable[[Layer], bool]
    value: Callable[[Layer], Any] = lambda layer: None
    sizes: tuple[float, ...] = ()
    integer: bool = False


def _weighs(layer: Layer) -> bool:
    return any(role in layer.weights for role in KERNELS)


def _has_kernel(layer: Layer) -> bool:
    return "kernel" in layer.weights and layer.weights["kernel"].ndim in (2, 4)


def _biased(layer: Layer) -> bool:
    return _weighs(layer) and bool(np.any(layer.weights.get("bias", 0)))


def _is_norm(layer: Layer) -> bool:
    return layer.kind == "BatchNormalization"


def _activates(layer: Layer) -> bool:
    return layer.kind in RECTIFIED or layer.activation in (
        *RECTIFIED,
        "relu6",
        "sigmoid",
        "tanh",
        "elu",
    )


def _is_relu(layer: Layer) -> bool:
    return layer.kind == "ReLU" or (layer.kind == "Activation" and layer.activation == "relu")


def _window(layer: Layer) -> bool:
    kernel = next((layer.weights[role] for role in KERNELS if role in layer.weights), None)
    return kernel is not None and kernel.ndim == 4 and min(kernel.shape[:2]) > 1


def _square(layer: Layer) -> bool:
    return _window(layer) and len(set(layer.config.get("kernel_size", ()))) == 1


def _ends(layer: Layer) -> bool:
    kernel = layer.weights.get("kernel")
    return kernel is not None and kernel.shape[-1] == kernel.shape[-2] > 1


def _other_pool(layer: Layer) -> str:
    whole = "Global" if layer.kind.startswith("Global") else ""
    return whole + ("AveragePool" if "Max" in layer.kind else "MaxPool")


STANDARD: tuple[Standard, ...] = (
    Standard("one-weight", "one weight off by 1 %", _weighs, lambda _: 0.01, SHARES),
    Standard("bias-weaker", "its bias lost", _biased, lambda _: 1.0, (1.0, *SHARES)),
    Standard("channel-silent", "one output channel 0", _has_kernel, lambda _: 0),
    Standard("kernel-axes-swapped", "height and width swapped", _square),
    Standard("kernel-rotated", "rotated by 180 degrees", _window),
    Standard("kernel-rolled", "moved by one pixel", _window),
    Standard("kernel-ends-swapped", "inputs and outputs swapped", _ends),
    Standard("kernel-reshaped", "reshaped, not transposed", _has_kernel),
    Standard("float16-kernel", "its kernel through float16", _has_kernel),
    Standard("pads", "padding on the other side", _window),
    Standard("pad-mode", "the border repeated, not zeros", _window, lambda _: "edge"),
    Standard(
        "gamma-beta-swapped",
        "gamma and beta swapped",
        lambda e: {"gamma", "beta"} <= set(e.weights),
    ),
    Standard("mean-variance-swapped-above-0", "mean and variance swapped", _is_norm),
    Standard("epsilon-less", "1 % of its epsilon left", _is_norm, lambda _: 0.99, (0.99, *SHARES)),
    Standard("left-out", "left out", _is_norm),
    Standard("activation-missing", "its activation left out", _activates),
    Standard(
        "leaky",
        "a slope of 0.01 below 0",
        lambda e: e.kind == "ReLU" or e.activation == "relu",
        lambda _: 0.01,
        SHARES[1:],
    ),
    Standard(
        "pool-kind", "the other kind of pooling", lambda each: "Pooling2D" in each.kind, _other_pool
    ),
    Standard("one-side-of-sum", "one side lost", lambda each: each.kind == "Add", lambda _: 1),
    Standard(
        "inputs-reversed",
        "inputs in reverse",
        lambda each: each.kind in ("Concatenate", "Subtract"),
    ),
    Standard(
        "temperature",
        "logits divided by 2",
        lambda e: e.activation == "softmax",
        lambda _: 1.0,
        (1.0, *SHARES),
    ),
    Standard("scale-times", "x0.5 of its output's scale", _weighs, lambda _: 0.5, integer=True),
    Standard(
        "zero-point-off", "8 steps of its output's zero point", _weighs, lambda _: 8, integer=True
    ),
    Standard("kernel-scales-rolled", "scales moved by one channel", _weighs, integer=True),
    Standard(
        "channel-scale-off",
        "x10 of one channel's scale",
        _weighs,
        lambda _: 9.0,
        (9.0, *SHARES),
        integer=True,
    ),
    Standard("kernel-byte", "1 step of one byte of its kernel", _weighs, integer=True),
    Standard("bias-times", "its bias lost", _biased, lambda _: 0.0, integer=True),
)
"""The standard faults, those of whole kernels first."""


def faults_of(spec: Spec, artifacts: Sequence[str], seed: int = 0) -> list[Fault]:
    """The standard faults of a model, so ordered that the first of them are of many kinds.

    Args:
        spec: the model.
        artifacts: names of those that can be made of it.
        seed: of the order of layers.
    """
    drawn, groups = np.random.default_rng(seed), list[list[Fault]]()
    for standard in STANDARD:
        for artifact in artifacts:
            if standard.operator in known(artifact) and standard.integer is ("int8" in artifact):
                fits = [layer for layer in spec.layers if standard.fits(layer)]
                order = drawn.permutation(len(fits))
                groups.append([_fault(spec, standard, artifact, fits[i]) for i in order])
    rounds = zip_longest(*(groups[i] for i in drawn.permutation(len(groups))))
    return [fault for each in rounds for fault in each if fault is not None]


def _fault(spec: Spec, standard: Standard, artifact: str, layer: Layer) -> Fault:
    made = partial(injection, standard.operator, artifact, [layer.name])
    return Fault(
        name=f"{artifact}-{standard.operator}-{layer.name}",
        stage="quantization" if standard.integer else "conversion",
        artifact=artifact,
        magnitude=standard.magnitude,
        check="",
        where=layer.name,
        inject=made(standard.value(layer)),
        sizes=standard.sizes,
        resized=made if standard.sizes else None,
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
