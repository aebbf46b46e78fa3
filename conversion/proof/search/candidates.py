"""What a search may try, step by step; each step starts from the best of those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from conversion.backends import backend
from conversion.core.settings import OnnxScheme, Settings, TorchScheme

SEARCHED = "onnx-int8"
"""The backend whose schemes are searched; another one is tried in the choices that it has."""

TRIED = 3
"""How many layers are left in float one at a time before those that helped are joined."""


@dataclass(frozen=True)
class Candidate:
    """One choice to be measured.

    Attributes:
        backend: what makes it.
        settings: the choice.
        stage: the step of the search.
        why: why it is tried.
    """

    backend: str
    settings: Settings
    stage: str
    why: str

    @property
    def label(self) -> str:
        """Stable words: the scheme, and the calibration images where the step chooses them."""
        scheme = backend(self.backend).scheme
        words = getattr(self.settings, scheme).label if scheme else "its own choices"
        prefix = "" if self.backend == SEARCHED else f"{self.backend.removesuffix('-int8')}: "
        return f"{prefix}{words}, {self.settings.calibration.count} images"

    @property
    def scheme(self) -> dict[str, Any]:
        """The settings that it depends on, plain values."""
        return asdict(self.settings)


def schemes(start: Settings) -> list[Candidate]:
    """Types of activations and weights, granularity and format."""
    tried = (
        (OnnxScheme(), "the default"),
        (OnnxScheme(reduce_range=False), "all eight bits of the weights"),
        (OnnxScheme(weights="uint8", per_channel=False), "what most notes recommend"),
        (OnnxScheme(format="qdq"), "the same in QDQ format"),
        (OnnxScheme(per_channel=False), "the default with one scale for a whole kernel"),
        (OnnxScheme("int8", "int8", format="qdq"), "signed activations"),
    )
    return [
        Candidate(SEARCHED, replace(start, onnx=scheme), "scheme", why) for scheme, why in tried
    ]


def others(start: Settings, backends: Sequence[str]) -> list[Candidate]:
    """The other runtimes that were asked for, each in the choices that it has."""
    found: list[Candidate] = []
    for name in backends:
        if backend(name).scheme == "torch":
            grains = ((True, "weights per channel"), (False, "one scale for a whole kernel"))
            found += [
                Candidate(name, replace(start, torch=TorchScheme(per_channel=fine)), "runtime", why)
                for fine, why in grains
            ]
        elif name != SEARCHED:
            found.append(Candidate(name, start, "runtime", "another runtime"))
    return found


def calibrations(best: Settings, counts: Sequence[int]) -> list[Candidate]:
    """Other methods, and other numbers of images, for the best scheme."""
    methods = [
        Candidate(
            SEARCHED,
            replace(best, onnx=replace(best.onnx, method=method)),
            "calibration",
            f"ranges by {method}",
        )
        for method in ("entropy", "percentile")
    ]
    sizes = [
        Candidate(
            SEARCHED,
            replace(best, calibration=replace(best.calibration, count=count)),
            "calibration",
            f"{count} calibration images",
        )
        for count in counts
        if count != best.calibration.count
    ]
    return methods + sizes


@dataclass(frozen=True)
class Worth:
    """What leaving a layer in float may gain and cost, as measured.

    Attributes:
        layer: its name.
        damage: rms change of the outputs that its own quantization noise causes, as a share of
            their spread.
        cost: seconds that it takes longer in float than in int8, for one image.
    """

    layer: str
    damage: float
    cost: float

    @property
    def words(self) -> str:
        """Both in words."""
        return f"{self.damage:.1%} of the damage for {1e6 * self.cost:+.0f} us"


def layers(best: Settings, worth: Sequence[Worth]) -> list[Candidate]:
    """Layers left in float one at a time: those that cost nothing, then most damage per second."""
    free = sorted((w for w in worth if w.cost <= 0), key=lambda w: (w.cost, w.layer))
    paid = sorted((w for w in worth if w.cost > 0), key=lambda w: -w.damage / w.cost)
    return [_leaving(best, (w.layer,), w.words) for w in (*free, *paid)[:TRIED]]


def without_overflow(best: Settings, layer: str) -> list[Candidate]:
    """The layer whose sums overflow without VNNI left in float."""
    return [_leaving(best, (layer,), "its sums of products overflow without VNNI")]


def joined(best: Settings, helpful: Sequence[str], worth: Mapping[str, Worth]) -> list[Candidate]:
    """The layers that helped one at a time, left in float together."""
    if len(helpful) < 2:
        return []
    why = f"together: {', '.join(f'{name} ({worth[name].words})' for name in helpful)}"
    return [_leaving(best, tuple(helpful), why)]


def _leaving(best: Settings, names: tuple[str, ...], why: str) -> Candidate:
    scheme = replace(best.onnx, float_layers=(*best.onnx.float_layers, *names))
    return Candidate(SEARCHED, replace(best, onnx=scheme), "layers", why)
