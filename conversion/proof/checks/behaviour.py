"""Weights that a file holds in a form that no rule knows, settled by what their layers do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np

from conversion.core.spec import KERNELS, Layer
from conversion.proof.checks.case import Case
from conversion.proof.checks.layers import own_truth
from conversion.proof.metrics import limits
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.layers import LayerError, Layers
from conversion.proof.taps.opened import Taps

IMAGES = 32
"""Images that layers are driven with."""


class Behaviour:
    """What the layers of a file do, each for its own inputs in the file."""

    def __init__(self, case: Case, taps: Taps) -> None:
        """Prepare to look at any layer.

        Args:
            case: the artifact.
            taps: its layers in view.
        """
        self._case, self._taps = case, taps
        self._known: dict[str, LayerError | None] = {}

    @cached_property
    def _inputs(self) -> Mapping[str, np.ndarray]:
        return self._case.workspace.layers.first(IMAGES)

    @cached_property
    def _tapped(self) -> Mapping[str, np.ndarray]:
        return self._taps.layers(self._inputs).layers

    def of(self, layer: str) -> LayerError | None:
        """How far the group of a layer is from what its inputs in the file should give.

        Args:
            layer: any; it is seen at the last layer of its group.

        Returns:
            The error, in multiples of Keras's noise; None where it cannot be seen.
        """
        match = self._taps.matches[layer]
        end = match.group[-1] if match.group else layer
        if end not in self._known:
            self._known[end] = self._measured(end)
        return self._known[end]

    def _measured(self, end: str) -> LayerError | None:
        noise = self._case.workspace.layers.noise[end]
        if end not in self._tapped or isinstance(noise, str):
            return None
        group, found = self._taps.matches[end].group, self._tapped
        own = own_truth(self._case.workspace.spec, group, found, end, self._inputs)
        compared = Layers(self._case.heads, {end: noise})
        compared.add(end, own, found[end].astype(np.float32))
        (error,) = compared.errors()
        return error if not error.doubt else None

    def unseen(self, layer: Layer, covers: Iterable[np.ndarray]) -> int:
        """How many of a layer's weights would have to be wrong altogether to be seen.

        A weight of a kernel is seen where what it contributes stands above the limit. A channel
        that gives nothing but noise shows none of its weights.

        Args:
            layer: one that `of` can see.
            covers: those of its weights.
        """
        match = self._taps.matches[layer.name]
        end = match.group[-1] if match.group else layer.name
        noise = self._case.workspace.layers.noise[end]
        assert isinstance(noise, Difference)
        least = limits.POOLED.value * np.maximum(noise.channels, 1e-300)
        spread = self._tapped[end].reshape(-1, self._tapped[end].shape[-1]).std(axis=0)
        dead = spread <= least
        count = 0
        for each in covers:
            shown = np.ones(each.shape, bool)
            if len(dead) == each.shape[-1]:
                shown &= ~dead
                role = next(r for r, a in layer.weights.items() if a is each)
                if role in KERNELS and end == layer.name and each.ndim > 1:
                    shown &= np.abs(each) * self._strength(layer, each) > least
            count += int((~shown).sum())
        return count

    def _strength(self, layer: Layer, weight: np.ndarray) -> np.ndarray | float:
        """Rms of what each channel that a kernel reads holds, shaped to be multiplied with it."""
        read = self._tapped.get(layer.inputs[0])
        if read is None or read.shape[-1] != weight.shape[-2]:
            return 1.0
        rms = np.sqrt(np.square(read.reshape(-1, read.shape[-1]), dtype=np.float64).mean(axis=0))
        return np.asarray(rms)[:, None]
