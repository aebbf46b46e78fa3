"""The parameters of an int8 LiteRT file, as the spec and the file's own operators ask for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import takewhile
from typing import Any

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.checks.int8.litert_rewrites import rewritten
from conversion.proof.metrics import folding
from conversion.proof.metrics.limits import FOLDED, STEP
from conversion.proof.metrics.quantized import Pair
from conversion.proof.taps.alignment import align
from conversion.proof.taps.graph import Operation, Tensor
from conversion.proof.taps.kernels import kernels, output_axis
from conversion.proof.taps.litert_operations import graph_of
from conversion.proof.taps.litert_tensors import network_of
from conversion.proof.taps.stages import is_affine
from conversion.proof.taps.weights_by_content import locate

LARGEST = 127
"""Of a kernel's integers: -128 is not used (LiteRT's 8-bit quantization specification)."""

LEAST, LARGEST_BIAS = 5e-7, 2.0**30
"""The scale of a dead channel's kernel: as if its weights reached 5e-7, or what keeps the bias in
range (measured: 971 channels of MLPerf Tiny's person detection model have one of the two)."""

CALIBRATED = (
    *("conv", "dense", "sum", "product", "scale", "shift"),
    *("relu", "clip", "leaky_relu", "global_average"),
)
"""Kinds whose output has a range of its own, which the check `ranges` compares."""

FIXED = {"softmax": (1 / 256, -128), "sigmoid": (1 / 256, -128), "tanh": (1 / 128, 0)}
"""Kinds whose output has the same scale and zero point in every file (the same specification)."""

SAME = (
    "max_pool",
    "average_pool",
    "global_max",
    "concat",
    "reshape",
    "pad",
    "crop",
    "tile",
    "resize",
)
"""Kinds whose output must have the scale and zero point of what they read."""

ROUNDED = FOLDED.value * 2.0**-24
"""What rounding may change in a scale that is a product, as a share of it."""


class Parameters:
    """What an int8 LiteRT file holds beside what it must hold."""

    def __init__(
        self,
        spec: Spec,
        model: Any,
        external: bool = False,
        in_float: Collection[str] = (),
        chosen: Collection[str] = (),
    ) -> None:
        """Lay the spec over a file.

        Args:
            spec: the model.
            model: what `conversion.backends.litert_file.load` gives.
            external: whether the file is external: then a kernel may have one scale in all, as
                older converters write dense layers.
            in_float: layers of which a step may be in float.
            chosen: layers that the scheme leaves in float.
        """
        self._external = external
        self.spec, self.graph = spec, graph_of(model, spec)
        self._in_content = locate(spec, network_of(model, spec)).held if chosen else []
        self.alignment = align(spec, self.graph)
        self._compared: set[str] = set()
        self._lost: list[str] = []
        self.unjudged = {} if external else rewritten(spec)
        self._float, self._chosen = set(in_float), set(chosen)

    def pairs(self) -> list[Pair]:
        """All that can be compared."""
        weights = (p for each in self.spec.layers for p in self._weights(each))
        return [*weights, *(p for each in self.graph.operations for p in self._output(each))]

    def unchecked(self) -> list[str]:
        """Kernels of the spec that nothing was compared with, and values that are not integers."""
        lost = [
            f"kernel of {layer.name}, which was not found in eight bits"
            for layer in self.spec.layers
            if kernels(layer) and layer.name not in {*self._compared, *self.unjudged}
        ]
        known = (*CALIBRATED, *FIXED, *SAME)
        floats = [
            f"output of {each.node}, which has no scale"
            for each in self.graph.operations
            if each.kind in known
            and self.graph.tensors[each.writes].scale is None
            and self._owner(each) not in self._float
            and not (each.moves and self.graph.tensors[each.reads[0]].scale is None)
        ]
        return [*lost, *self._lost, *floats]

    def _weights(self, layer: Layer) -> Iterator[Pair]:
        """Kernels and bias of a layer, with what follows folded in."""
        if layer.name in self._chosen:
            yield from self._in_float(layer)
            return
        place = self.alignment.places[layer.name]
        holding = [each for each in place.operations if "kernel_scale" in each.constants]
        sources = kernels(layer)
        if not sources or len(holding) != len(sources) or layer.name in self.unjudged:
            return
        self._compared.add(layer.name)
        after = [self.spec.layer(name) for name in place.group[place.group.index(layer.name) + 1 :]]
        chain = list(takewhile(is_affine, after))
        factor, owner = place.factor, place.group[-1]
        for stored, source in zip(holding[:-1], sources, strict=False):
            rest = folding.identity()
            yield from self._kernel(
                owner, f"the depthwise kernel of {layer.name}", stored, source * factor, rest, 0
            )
            factor = 1.0
        axis = output_axis(layer)
        whole, rest = folding.folded(sources[-1], layer.weights.get("bias"), chain, axis)
        stored, words = holding[-1], f"the kernel of {layer.name}"
        added = place.operations[place.operations.index(stored) + 1 :]
        if shift := next((o for o in added if o.kind == "shift" and "bias" in layer.weights), None):
            yield from self._added(owner, f"the bias of {layer.name}", shift, rest)
            rest = folding.identity()
        yield from self._kernel(owner, words, stored, whole * factor, rest, axis)

    def _in_float(self, layer: Layer) -> Iterator[Pair]:
        """Weights of a layer that the scheme leaves in float: the spec's, but for rounding."""
        found = [
            each
            for each in self._in_content
            if any(w is c for c in each.covers for w in layer.weights.values())
        ]
        self._compared |= {layer.name} if found else set()
        for each in found:
            slack = FOLDED.value * 2.0**-24 * (0.0 if each.terms is None else each.terms)
            yield Pair(
                "biases" if "bias" in each.what else "weights",
                each.layer,
                each.what,
                each.found,
                each.wanted,
                slack,
                "the spec's, in float",
            )

    def _kernel(
        self,
        owner: str,
        words: str,
        stored: Operation,
        whole: np.ndarray,
        rest: folding.Affine,
        axis: int,
    ) -> Iterator[Pair]:
        """A stored kernel and the bias beside it, which holds the rest."""
        held, others = stored.constants, tuple(i for i in range(whole.ndim) if i != axis)
        read = self.graph.tensors[stored.reads[0]].scale or 1.0
        scale, grain = np.maximum(np.abs(whole).max(axis=others), LEAST) / LARGEST, "channel"
        if "bias" in held:
            scale = np.maximum(scale, np.abs(rest.offset) / (read * LARGEST_BIAS))
        if self._external and len(held["kernel_scale"]) == 1:
            scale, grain = scale.max(keepdims=True), "kernel"
        why = f"{LARGEST} steps are the largest weight of each {grain}"
        found = held["kernel_scale"]
        yield Pair("scales", owner, words, found, scale, ROUNDED * scale, why)
        zeros = np.zeros_like(held["kernel_zero_point"])
        yield Pair("zero_points", owner, words, held["kernel_zero_point"], zeros, why="symmetric")
        unit = folding.along(scale, whole.ndim, axis)
        real = _real(held["kernel"], found, axis)
        slack = np.broadcast_to(STEP.value * unit, whole.shape)
        yield Pair("weights", owner, words, real, whole, slack, "the spec's")
        if "bias" not in held or "bias_scale" not in held:
            return
        words, product = words.replace("kernel", "bias"), read * found
        why = "scale of the input times that of the kernel"
        yield Pair("scales", owner, words, held["bias_scale"], product, ROUNDED * product, why)
        value = np.broadcast_to(rest.offset, held["bias"].shape)
        slack = STEP.value * product + FOLDED.value * 2.0**-24 * np.abs(rest.terms)
        yield Pair("biases", owner, words, _real(held["bias"], held["bias_scale"], 0), value, slack)

    def _added(
        self, owner: str, words: str, stored: Operation, rest: folding.Affine
    ) -> Iterator[Pair]:
        """A bias that is added in a step of its own, to results that have a scale already."""
        held = stored.constants
        if not {"value", "value_scale"} <= set(held):
            self._lost.append(f"{words}, which was not found in eight bits")
            return
        found = held["value"].reshape(-1)
        value = np.broadcast_to(rest.offset, found.shape)
        scale, zero = held["value_scale"], held["value_zero_point"]
        real = (found.astype(np.float64) - zero) * scale
        slack = np.broadcast_to(STEP.value * scale.astype(np.float64), value.shape)
        yield Pair("biases", owner, words, real, value, slack, "the spec's")

    def _output(self, operation: Operation) -> Iterator[Pair]:
        """Scales and zero points of values that are not the calibration's to choose."""
        out = self.graph.tensors[operation.writes]
        before = self.graph.tensors[operation.reads[0]] if operation.reads else out
        if operation.kind in FIXED:
            before, why = Tensor("", *FIXED[operation.kind]), f"fixed for {operation.kind}"
        elif operation.kind in SAME:
            why = "that of what it reads"
        else:
            return
        if out.scale is None or before.scale is None:
            return
        layer, words = self._owner(operation), f"the output of {operation.node}"
        scales = np.array([out.scale, before.scale], np.float32)
        points = np.array([out.zero_point, before.zero_point])
        yield Pair("scales", layer, words, scales[0], scales[1], why=why)
        yield Pair("zero_points", layer, words, points[0], points[1], why=why)

    def _owner(self, operation: Operation) -> str:
        for name, place in self.alignment.places.items():
            if any(each is operation for each in place.operations):
                return name
        return ""


def _real(stored: np.ndarray, scale: np.ndarray, axis: int) -> np.ndarray:
    """What symmetric integers stand for; not a number where the scales are not theirs."""
    if len(scale) not in (1, stored.shape[axis]):
        return np.full(stored.shape, np.nan)
    return np.asarray(stored * folding.along(scale.astype(np.float64), stored.ndim, axis))
