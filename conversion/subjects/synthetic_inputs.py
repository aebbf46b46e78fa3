"""Inputs made for a model that comes without data, such that they exercise the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.subjects.dataset import Dataset
from conversion.subjects.exercising import width_for
from conversion.subjects.open_sizes import filled

SEED = 0
TRAINING, TRAINING_SEED = 100, 2**31
"""Synthetic images to calibrate on; their seed is not one that images to judge on will have."""

PIXELS = (0.0, 255.0)
CANDIDATES = (PIXELS, (0.0, 1.0), (-1.0, 1.0))
"""Ranges of pixels that networks are trained on."""

WHOLE = 64
"""Wider ranges are of whole numbers."""

TRIED = 8
"""Inputs on which a range is compared with a file's statistics."""

EXERCISED = 2
"""Inputs on which a width is tried: one of the range itself, and one that is wider."""

GRAINS = (1, 4, 16)
"""Sizes of the patches that images are made of, in pixels."""

PASSING = ("ZeroPadding1D", "ZeroPadding2D", "Cropping1D", "Cropping2D", "Identity", "Dropout")
"""Layers that leave the range as it is."""


@dataclass(frozen=True)
class Range:
    """Where an input's values lie, and what says so.

    Attributes:
        low: the lowest value; of one number a channel where there are several.
        high: the highest.
        reason: what in the file suggests it.
    """

    low: Any
    high: Any
    reason: str


def synthetic_inputs(
    spec: Spec,
    count: int,
    beside: Mapping[str, np.ndarray] | None = None,
    seed: int = SEED,
    width: float = 1.0,
    other_size: bool = False,
) -> dict[str, np.ndarray]:
    """Inputs in the range that the file's own layers suggest, rough and smooth, dark and light.

    Whether they exercise the network is not taken for granted: parity measures how much the
    outputs vary and says undecided where they do not.

    Args:
        spec: the model.
        count: how many of each.
        beside: input name to ``(N, ...)`` real inputs that the made ones are to stand beside; their
            range then goes before what the file suggests.
        seed: of the draw; what the file suggests does not depend on it.
        width: every other input is of so many times the range, about its middle.
        other_size: whether axes that the model leaves open have the other of two sizes.

    Returns:
        Input name to ``(count, ...)`` float32; an axis that the model leaves open has the size of
        `beside`, or a usual one.

    Raises:
        UserError: the model leaves sizes open, and none fits its layers.
    """
    real = beside or {}
    known = {name: _seen(values) for name, values in real.items()}
    shapes: Mapping[str, tuple[int, ...]] = {
        name: values.shape[1:] for name, values in real.items()
    }
    if other_size or not {*spec.inputs} <= {*real}:
        shapes = filled(spec, other_size)
    found = {}
    for name in spec.inputs:
        within = known.get(name) or suggested_range(spec, name)
        found[name] = _made(spec, name, shapes[name], count, within, seed, width)
    return found


def suggested_width(spec: Spec) -> float:
    """How many times the suggested range every other input takes to exercise the activations.

    Raises:
        UserError: the model leaves sizes open, and none fits its layers.
    """
    return width_for(spec, lambda width: synthetic_inputs(spec, EXERCISED, width=width))


def synthetic_training(spec: Spec) -> Dataset:
    """Images to calibrate on for a model of one input that comes without any.

    Raises:
        UserError: the model leaves sizes open, and none fits its layers.
    """
    (name,) = spec.inputs
    width = suggested_width(spec)
    images = synthetic_inputs(spec, TRAINING, seed=TRAINING_SEED, width=width)[name]
    return Dataset(images, None, f"synthetic images of seed {TRAINING_SEED}")


def _seen(values: np.ndarray) -> Range:
    """The range of real inputs, of each channel where there are several."""
    axes = tuple(range(values.ndim - 1)) if values.ndim > 2 else None
    low, high = values.min(axis=axes), values.max(axis=axes)
    return Range(low, high, "the inputs that were given")


def suggested_range(spec: Spec, name: str) -> Range:
    """The range that the layers behind an input suggest.

    Args:
        spec: the model.
        name: one of its inputs.
    """
    first = _first(spec, name)
    if first is not None:
        if first.kind == "Rescaling":
            return _of_rescaling(first)
        if first.kind == "Normalization" and "mean" in first.weights:
            return _of_statistics(first, "mean", "variance")
        if first.kind == "BatchNormalization":
            return _of_statistics(first, "moving_mean", "moving_variance")
        found = _of_norm_behind(spec, name, first)
        if found is not None:
            return found
    if len(spec.layer(name).shape) == 3:
        return Range(*PIXELS, "raw pixels, since the file suggests no range")
    return Range(-2.0, 2.0, "two standard deviations, since the file suggests no range")


def _first(spec: Spec, name: str) -> Layer | None:
    """The first layer behind an input that computes; None where several read it."""
    while True:
        readers = [layer for layer in spec.layers if name in layer.inputs]
        if len(readers) != 1:
            return None
        if readers[0].kind not in PASSING:
            return readers[0]
        name = readers[0].name


def _number(value: Any) -> np.ndarray:
    """A number or a list of them; Keras 3 wraps an array in a mapping."""
    return np.asarray(value["config"]["value"] if isinstance(value, dict) else value, np.float64)


def _of_rescaling(layer: Layer) -> Range:
    scale, offset = (_number(layer.config[key]) for key in ("scale", "offset"))
    ends = np.where(offset == 0, 0.0, -1.0), np.ones_like(offset)
    low, high = ((end - offset) / np.where(scale == 0, 1.0, scale) for end in ends)
    return Range(np.minimum(low, high), np.maximum(low, high), f"{layer.name} brings it to about 1")


def _of_statistics(layer: Layer, mean: str, variance: str) -> Range:
    middle = layer.weights[mean].astype(np.float64).reshape(-1)
    reach = 2 * np.sqrt(layer.weights[variance].astype(np.float64).reshape(-1))
    return Range(middle - reach, middle + reach, f"the statistics of {layer.name}")


def _of_norm_behind(spec: Spec, name: str, first: Layer) -> Range | None:
    """The usual range whose sums come closest to the statistics of the norm behind them."""
    norms = [
        layer
        for layer in spec.layers
        if layer.kind == "BatchNormalization" and layer.inputs == (first.name,)
    ]
    if len(norms) != 1 or len(spec.inputs) != 1 or len(spec.layer(name).shape) != 3:
        return None
    wanted = norms[0].weights["moving_variance"].astype(np.float64).mean()

    def distance(pair: tuple[float, float]) -> float:
        tried = _made(spec, name, filled(spec)[name], TRIED, Range(*pair, ""))
        given = {name: tried.astype(np.float64)}
        sums = truth.evaluate(spec, {}, [first.name], given).layers[first.name]
        found = sums.var(axis=(0, 1, 2)).mean()
        return float(abs(np.log(max(found, 1e-12) / max(wanted, 1e-12))))

    low, high = min(CANDIDATES, key=distance)
    return Range(low, high, f"the statistics of {norms[0].name}")


def _made(
    spec: Spec,
    name: str,
    sizes: Sequence[int],
    count: int,
    within: Range,
    seed: int = SEED,
    width: float = 1.0,
) -> np.ndarray:
    seed = (seed + spec.inputs.index(name)) % 2**32
    random = np.random.RandomState(seed)  # frozen by NEP 19
    low, high = np.asarray(within.low, np.float64), np.asarray(within.high, np.float64)
    share = _patches(random, count, sizes) if len(sizes) > 1 else random.rand(count, *sizes)
    if width != 1.0:
        share[1::2] = 0.5 + width * (share[1::2] - 0.5)
    values = low + (high - low) * share
    pixels = bool((high - low > WHOLE).all())
    return (np.rint(values) if pixels else values).astype(np.float32)


def _patches(random: np.random.RandomState, count: int, sizes: Sequence[int]) -> np.ndarray:
    """Patches of several sizes over each other, ``(count, ...)`` from 0 to 1."""
    spatial, channels = sizes[:-1], sizes[-1]
    total = np.zeros((count, *sizes))
    for grain in GRAINS:
        coarse = random.rand(count, *(-(-size // grain) for size in spatial), channels)
        for axis, size in enumerate(spatial, start=1):
            coarse = coarse.repeat(grain, axis=axis).take(range(size), axis=axis)
        weight = random.rand(count, *[1] * len(sizes))
        total += weight * (coarse - 0.5)
    ends = tuple(range(1, len(sizes) + 1))
    total -= total.min(axis=ends, keepdims=True)
    total /= np.maximum(total.max(axis=ends, keepdims=True), 1e-12)
    contrast = 0.3 + 0.7 * random.rand(count, *[1] * len(sizes))
    light = (1 - contrast) * random.rand(count, *[1] * len(sizes))
    return np.asarray(light + contrast * total)
