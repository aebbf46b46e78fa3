"""What ideal eight-bit rounding does to a model: its kernels and results in the steps of a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from conversion.core.spec import KERNELS, Layer
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.kernel_content import Found
from conversion.proof.checks.int8.seen import Seen, seen_in
from conversion.proof.metrics.int8 import Steps, in_steps, of_range
from conversion.proof.taps.kernels import kernels, output_axis
from conversion.proof.truth.activations import activate

LEVELS = 64
"""Steps from 0 to the largest weight of a channel whose steps in the file are not known: those of
seven bits, which some schemes have. Rounded a little otherwise a small kernel loses 3 dB more."""


class IdealRounding:
    """A model in float64 whose kernels and results are rounded as a file's are, and nothing else.

    What is rounded, and how finely, is the file's; how the file computes between is not asked.
    """

    def __init__(self, seen: Seen) -> None:
        """Round the kernels and find the steps of every layer's result.

        Args:
            seen: the file with its layers in view.
        """
        self._seen, self._spec = seen, seen.spec
        self._rounded = {each.name: rounded(each, _found(seen, each)) for each in seen.spec.layers}
        self._results = {name: _steps(seen, name) for name in seen.values}
        self._results |= {name: _rounded_to(seen, each) for name, each in seen.by_kernels.items()}
        self._folded = {each.name: _folded(_found(seen, each)) for each in seen.spec.layers}
        self._sums, self._products = _held(seen, seen.sums), _held(seen, seen.products)
        self._between = _between(seen)
        self._dynamic = seen.network.is_dynamic

    def group(
        self,
        name: str,
        found: Mapping[str, np.ndarray],
        inputs: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """What a layer should give for its inputs in the file.

        Args:
            name: a layer that can be seen in the file.
            found: layer name to its output in the file, ``(N, ...)``.
            inputs: input name to ``(N, ...)``, those that gave `found`.
        """
        group, layers = self._seen.taps.matches[name].group, list[str]()
        waiting, read = [name], dict[str, np.ndarray]()
        while waiting:
            each = waiting.pop()
            known = inputs if each in inputs else found
            if each in known and (each in inputs or each not in group):
                read[each] = self._in_steps(each, known[each])
            elif each not in layers:
                layers.append(each)
                waiting += self._spec.layer(each).inputs
        return self._evaluated(read, {name}, layers)[name]

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the whole model gives.

        Args:
            inputs: input name to ``(N, ...)``.

        Returns:
            Output name to ``(N, ...)`` float64.
        """
        given = {name: self._in_steps(name, value) for name, value in inputs.items()}
        return self._evaluated(given, self._spec.outputs, [e.name for e in self._spec.layers])

    def _evaluated(
        self, given: Mapping[str, np.ndarray], wanted: Collection[str], names: Collection[str]
    ) -> dict[str, np.ndarray]:
        values = dict(given)
        for layer in self._spec.layers:
            if layer.name not in names or layer.name in values:
                continue
            read = [values[each] for each in layer.inputs]
            values[layer.name] = self._in_steps(layer.name, self._computed(layer, read))
        return {name: values[name] for name in wanted}

    def _computed(self, layer: Layer, read: list[np.ndarray]) -> np.ndarray:
        own, steps = self._rounded[layer.name], self._sums.get(layer.name)
        if self._dynamic and kernels(layer):
            read = [in_steps(each, of_range(each.min(), each.max(), "uint8")) for each in read]
        moved, between = self._unrounded(layer, own, read), self._between.get(layer.name)
        if between is not None:
            spread, own = halves(own)
            read = [in_steps(truth.evaluate_layer(self._spec, spread, read), between)]
        before = self._products.get(layer.name)
        if steps is None and before is None and moved is None:
            return truth.evaluate_layer(self._spec, own, read)
        linear = replace(own, config={**own.config, "activation": "linear"})
        whole = truth.evaluate_layer(self._spec, linear, read)
        if moved is not None:
            whole = whole + moved
        if before is not None:
            nothing = [np.zeros_like(each[:1]) for each in read]
            offset = truth.evaluate_layer(self._spec, linear, nothing)
            whole = in_steps(whole - offset, before) + offset
        return activate(layer, whole if steps is None else in_steps(whole, steps))

    def _unrounded(self, layer: Layer, rounded: Layer, read: list[np.ndarray]) -> np.ndarray | None:
        """What is off where the offset of a layer before is added as a bias, by an exact kernel.

        Args:
            layer: any.
            rounded: the same with its kernels rounded.
            read: what it reads; that layer's offset among it.

        Returns:
            ``(1, ...)``; None where nothing with an offset is folded in.
        """
        if (offset := self._folded[layer.name]) is None:
            return None
        alone = [np.broadcast_to(offset, (1, *read[0].shape[1:]))]
        exact, other = (
            truth.evaluate_layer(
                self._spec, replace(each, config={**layer.config, "activation": "linear"}), alone
            )
            for each in (layer, rounded)
        )
        return np.asarray(exact - other)

    def _in_steps(self, name: str, value: np.ndarray) -> np.ndarray:
        steps = self._results.get(name)
        return value if steps is None else in_steps(value, steps)


def halves(layer: Layer) -> tuple[Layer, Layer]:
    """A separable convolution as two: the kernel of every channel, and what joins the channels.

    Args:
        layer: any with a `depthwise_kernel` and a `pointwise_kernel`.
    """
    depthwise, pointwise = (layer.weights[f"{each}_kernel"] for each in ("depthwise", "pointwise"))
    rank, channels = depthwise.ndim - 2, pointwise.shape[-2]
    ones, each = (1,) * rank, np.eye(channels).reshape(*pointwise.shape[:-2], channels, channels)
    plain = {**layer.config, "activation": "linear", "filters": channels, "use_bias": False}
    spread = {"depthwise_kernel": depthwise, "pointwise_kernel": each}
    still = {"kernel_size": ones, "strides": ones, "dilation_rate": ones, "depth_multiplier": 1}
    joined = {**layer.weights, "depthwise_kernel": np.ones((*ones, channels, 1))}
    return (
        replace(layer, config=plain, weights=spread),
        replace(layer, config={**layer.config, **still, "padding": "valid"}, weights=joined),
    )


def rounding_in(case: Case) -> IdealRounding:
    """The ideal rounding of an int8 artifact, once for all checks that ask for it.

    Raises:
        RunFailed: it does not run.
    """
    return case.once("ideal rounding", lambda: IdealRounding(seen_in(case)))


def rounded(layer: Layer, found: list[Found | None]) -> Layer:
    """A layer with its kernels rounded as finely as a file's are.

    Args:
        layer: any.
        found: its kernels in the file, None for one that is not there.
    """
    roles = [role for role in KERNELS if role in layer.weights]
    counted = {
        role: np.arange(layer.weights[role].size).reshape(layer.weights[role].shape)
        for role in roles
    }
    places = kernels(replace(layer, weights={**layer.weights, **counted}))
    weights = dict(layer.weights)
    for index, (role, kernel, held) in enumerate(zip(roles, kernels(layer), found, strict=True)):
        axis = output_axis(layer) if index == len(roles) - 1 else 0
        whole = _whole(kernel.astype(np.float64), axis, held)
        flat = weights[role].astype(np.float64).reshape(-1)
        flat[places[index].reshape(-1)] = whole.reshape(-1)
        weights[role] = flat.reshape(weights[role].shape)
    return replace(layer, weights=weights)


def _whole(kernel: np.ndarray, axis: int, held: Found | None) -> np.ndarray:
    """A kernel in its steps; each element loses as much of itself as what the file stores for it.

    That is the kernel with what is folded in, which may move the weights of one channel apart.
    """
    if held is None or not held.is_located:
        others = tuple(i for i in range(kernel.ndim) if i != axis)
        step = np.broadcast_to(
            np.abs(kernel).max(axis=others, keepdims=True) / LEVELS, kernel.shape
        )
        stored = kernel
    else:
        stored = held.wanted.kernel.astype(np.float64)
        step = np.broadcast_to(held.unit, kernel.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.rint(stored / step) * step / stored
    return np.where(np.isfinite(kept), kernel * kept, kernel)


def _found(seen: Seen, layer: Layer) -> list[Found | None]:
    return seen.kernels.found(layer) if kernels(layer) else []


def _folded(found: list[Found | None]) -> np.ndarray | None:
    """What a layer before adds whose factor is in the first kernel; None where that is nothing."""
    held = found[0] if found else None
    if held is None or not held.is_located or not np.any(held.wanted.before.affine.offset):
        return None
    return held.wanted.before.affine.offset


def _steps(seen: Seen, name: str) -> Steps | None:
    """The steps of the integers that hold a layer's output, or that it becomes; None if none do."""
    held = seen.integers(name)
    return _rounded_to(seen, seen.taps.matches[name].tensor) if held is None else held.steps


def _rounded_to(seen: Seen, tensor: str) -> Steps | None:
    """The steps of a tensor, or those to which it is rounded where it is read."""
    own = seen.network.of(tensor).steps
    readers = (each for each in seen.network.readers.get(tensor, ()) if each.moves)
    return own or next((each.steps for each in readers if each.steps is not None), None)


def _between(seen: Seen) -> dict[str, Steps]:
    """Of separable convolutions the steps of what lies between their two kernels."""
    found = {}
    for layer in seen.spec.layers:
        if "pointwise_kernel" in layer.weights:
            first = _found(seen, layer)[0]
            steps = None if first is None else _rounded_to(seen, first.step.name)
            if steps is not None:
                found[layer.name] = steps
    return found


def _held(seen: Seen, inside: Mapping[str, str]) -> dict[str, Steps]:
    """Of layers with something inside that is rounded too, the steps of that."""
    held = {name: _rounded_to(seen, tensor) for tensor, name in inside.items()}
    return {name: steps for name, steps in held.items() if steps is not None}
