"""Which layer goes wrong first, as a multiple of Keras's own rounding noise at that layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import Comparison, Incomparable, NoPower
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.quantities import (
    LAYER_ERROR_CHANNEL,
    LAYER_ERROR_IMAGE,
    LAYER_ERROR_POOLED,
    TAPS_AGAINST_DEPLOYED,
)
from conversion.proof.metrics.views import VIEWS

LOST = 0.05
"""Part of a layer's spread: eight bits lose less (2 to 3 %), a wrong tensor is off by all of it."""

STATISTICS = (
    ("pooled", LAYER_ERROR_POOLED, limits.POOLED),
    ("channel", LAYER_ERROR_CHANNEL, limits.CHANNEL),
    ("image", LAYER_ERROR_IMAGE, limits.IMAGE),
)
"""Field of `LayerError`, measurement, limit: the same three as of the outputs."""


@dataclass(frozen=True)
class LayerError:
    """How far one layer of an artifact lies from the truth.

    Attributes:
        layer: the layer's name; of a group that is computed together the last one.
        pooled: rms over everything, as a multiple of Keras's.
        channel: of the worst channel, as a multiple of Keras's of that channel.
        image: of the worst image, as a multiple of Keras's pooled rms.
        share: rms over everything, as a part of the layer's spread.
        odd: why it cannot be compared, which is a fault; empty where it can.
        doubt: why nothing is compared at this layer; empty where it is.
    """

    layer: str
    pooled: float
    channel: float
    image: float
    share: float = 0.0
    odd: str = ""
    doubt: str = ""

    @property
    def times_limit(self) -> float:
        """The error as a multiple of its limit, by the statistic that sees it best."""
        return max(float(getattr(self, f)) / limit.value for f, _, limit in STATISTICS)

    @property
    def at_fault(self) -> bool:
        """Whether the layer is further from the truth than rounding explains."""
        over = any(not getattr(self, field) <= limit.value for field, _, limit in STATISTICS)
        return bool(self.odd) or over


class Layers:
    """Every layer beside the truth, a chunk of images at a time."""

    def __init__(
        self, heads: Mapping[str, str], noise: Mapping[str, Difference | str] | None = None
    ) -> None:
        """Begin with no image.

        Args:
            heads: output layer's name to what it means.
            noise: Keras's own differences, which those of an artifact are multiples of; none where
                it is Keras's layers that are added.
        """
        self._heads, self._noise = heads, noise or {}
        self._compared: dict[str, Comparison] = {}

    def add(self, name: str, truth: np.ndarray, layer: np.ndarray) -> None:
        """Add the next images of a layer.

        Args:
            name: of the layer; the layers are added in the spec's order.
            truth: ``(N, ...)`` float64 from the spec.
            layer: ``(N, ...)`` float32 from Keras, or from the artifact's taps.
        """
        if name not in self._compared:
            known = self._noise.get(name)
            view = VIEWS[self._heads.get(name, "none")]
            known = None if isinstance(known, str) else known
            self._compared[name] = Comparison(name, view, np.float32, known)
        if not isinstance(self._noise.get(name), str):
            self._compared[name].add(truth, layer)

    def differences(self) -> dict[str, Difference | str]:
        """Layer name to its distance from the truth, or to why that has no power."""
        found: dict[str, Difference | str] = {}
        for name, compared in self._compared.items():
            try:
                found[name] = compared.difference()
            except (NoPower, Incomparable) as why:
                found[name] = str(why)
        return found

    def errors(self) -> list[LayerError]:
        """Every layer's distance from the truth as a multiple of Keras's own."""
        return [_layer_error(each, self._noise[name]) for name, each in self._compared.items()]


def _layer_error(compared: Comparison, noise: Difference | str) -> LayerError:
    name = compared.output
    if isinstance(noise, str):
        return LayerError(name, 0.0, 0.0, 0.0, doubt=noise)
    try:
        error = compared.difference()
    except Incomparable as why:
        return LayerError(name, np.inf, np.inf, np.inf, np.inf, odd=str(why))
    return LayerError(
        name,
        error.rms / noise.noise,
        float((error.channels / noise.channel_noise).max()),
        float((error.images / noise.image_noise[: error.n]).max()),
        error.rms / (noise.spread or noise.level),
    )


def first_at_fault(errors: Sequence[LayerError]) -> LayerError | None:
    """The first layer that is further from the truth than rounding explains."""
    return next((error for error in errors if error.at_fault), None)


def map_lost(errors: Sequence[LayerError], outputs: Collection[str]) -> str:
    """Why the map of layers is not to be believed; empty where it is.

    A layer that is off by a good part of its spread cannot leave the outputs within rounding: then
    the tensor that was looked at is not the layer's.

    Args:
        errors: one a layer, in the spec's order.
        outputs: names of the layers that are outputs.
    """
    first = first_at_fault(errors)
    ends = [error for error in errors if error.layer in outputs]
    if first is None or not ends or any(end.at_fault for end in ends) or first.share < LOST:
        return ""
    return (
        f"{first.layer} seems to be off by {first.share:.0%} of its spread, yet the outputs of the "
        "same run are right: the layer was not found in the file"
    )


def neighbours(errors: Sequence[LayerError], layer: str) -> str:
    """The errors of a layer and of those beside it, in words."""
    index = next(i for i, error in enumerate(errors) if error.layer == layer)
    beside = errors[max(index - 1, 0) : index + 2]
    return ", ".join(f"{error.layer} {error.pooled:.3g}" for error in beside) + " x noise"


def layer_error(
    about: About,
    errors: Sequence[LayerError],
    groups: Mapping[str, Sequence[str]],
    notes: Mapping[str, str],
    hint: str,
    n: int,
    outputs: Collection[str] = (),
) -> list[Measurement]:
    """The worst layer by each statistic; a failure names the first layer at fault.

    Args:
        about: what is measured.
        errors: one a layer, in the spec's order.
        groups: layer name to the layers that are computed together with it.
        notes: layer name to what is odd about its place in the file.
        hint: what the pattern of the first fault's error looks like; may be empty.
        n: images.
        outputs: names of the layers that are outputs.
    """
    lost = map_lost(errors, outputs)
    if lost:
        found = layer_error(about, [e for e in errors if not e.at_fault], groups, notes, "", n)
        return [
            replace(m, verdict=Verdict.UNDECIDED, reason=lost, layer=None)
            if m.verdict is Verdict.PASS
            else m
            for m in found
        ]
    if not errors:
        why = "no layer of the model was found in the file"
        return [about.measure(LAYER_ERROR_POOLED, reason=why, verdict=Verdict.UNDECIDED)]
    first = first_at_fault(errors)
    rows = tuple(
        {
            "layer": "+".join(groups.get(error.layer, (error.layer,))),
            "pooled": error.pooled,
            "channel": error.channel,
            "image": error.image,
            "note": "; ".join(filter(None, (error.odd, error.doubt, notes.get(error.layer, "")))),
        }
        for error in errors
    )
    return [
        _worst(about, what, [getattr(e, field) for e in errors], errors, first, hint, n, rows)
        for field, what, _ in STATISTICS
    ]


def _worst(
    about: About,
    what: Quantity,
    values: list[float],
    errors: Sequence[LayerError],
    first: LayerError | None,
    hint: str,
    n: int,
    rows: tuple[Mapping[str, object], ...],
) -> Measurement:
    worst = int(np.argmax(values))
    layer, shown = errors[worst].layer, rows if what is LAYER_ERROR_POOLED else ()
    found = about.measure(what, values[worst], layer=layer, n=n, rows=shown)
    if first is not None:
        layer = first.layer
        said = (first.odd, neighbours(errors, first.layer), hint)
        reason = f"the first layer at fault is {layer}: {'; '.join(filter(None, said))}"
        return replace(found, layer=layer, reason=reason)
    return found


def tapped_graph(
    about: About,
    compared: Sequence[Comparison],
    noise: Mapping[str, Difference | str],
    another: str,
) -> list[Measurement]:
    """By how much the graph with taps and the one without differ.

    Args:
        about: what is measured.
        compared: the outputs of the graph with taps beside those of the file as it is.
        noise: Keras's own distance from the truth by layer, or why it has no power there.
        another: how the tapped graph differs, in words; empty where it is the very same.
    """
    about_taps = another or "the tapped network is the deployed one"
    try:
        differences = [each.difference() for each in compared]
    except (Incomparable, NoPower) as why:
        verdict = Verdict.FAIL if isinstance(why, Incomparable) else Verdict.UNDECIDED
        reason = f"{why}; {about_taps}"
        return [about.measure(TAPS_AGAINST_DEPLOYED, reason=reason, verdict=verdict)]
    found = []
    for difference in differences:
        own = noise[difference.output]
        if isinstance(own, str):
            continue
        value = difference.rms / own.noise
        found.append(about.measure(TAPS_AGAINST_DEPLOYED, value, about_taps, n=difference.n))
    return found
