"""Ranges: are the recorded ones those that the reference gives for the calibration images?"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from conversion.backends import Ingredients
from conversion.core.artifact import Artifact
from conversion.core.measurement import Measurement
from conversion.core.settings import Settings
from conversion.core.spec import Layer, Spec
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.calibration import honest_images, unknown
from conversion.proof.checks.int8.fitting_ranges import fitting_ranges
from conversion.proof.checks.int8.seen import Seen, prepared_in, seen_in
from conversion.proof.metrics import limits, ranges
from conversion.proof.metrics.compare import Incomparable, NoPower
from conversion.proof.metrics.quantities import RANGES, RANGES_AGAIN
from conversion.proof.metrics.ranges import STEPS, Recorded
from conversion.proof.taps.by_values import RECOGNISED
from conversion.proof.taps.network import Network
from conversion.quantization import calibration
from conversion.readers.activations import activation_layer
from conversion.reference import KerasModel
from conversion.subjects.data import Dataset

Place = tuple[str, bool]
"""A layer, and whether it is meant as it is before its own activation."""
Range = tuple[float, float]


@dataclass(frozen=True)
class Rule:
    """How the ranges of an artifact are to be judged.

    Attributes:
        exact: whether they are lowest and highest value; else a histogram chose them.
        limit: how far they may be from the reference's, or past them.
        holds_zero: whether every range is widened to hold 0.
    """

    exact: bool
    limit: float
    holds_zero: bool = False


def onnx_ranges(case: Case) -> list[Measurement]:
    """The recorded range of every tensor is the reference's at the layer that it holds."""
    case.require_map()
    if case.artifact.external:
        return fitting_ranges(case)
    if reason := unknown(case):
        return case.skip(RANGES, reason)
    from onnxruntime.quantization.calibrate import load_tensors_data

    recorded: dict[str, Range] = {
        name: (np.asarray(data.range_value[0]).item(), np.asarray(data.range_value[1]).item())
        for name, data in load_tensors_data(case.workspace.artifact("onnx-ranges").path).items()
    }
    known = _places(prepared_in(case))
    network = prepared_in(case).network
    roots = {name: network.root(name) for name in recorded if name in network.position}
    places = {name: known[root] for name, root in roots.items() if root in known}
    exact = case.workspace.settings.onnx.method == "minmax"
    rule = Rule(exact, _rounding(case) if exact else limits.RANGE_ROUNDED.value)
    return _compared(case, recorded, places, rule)


def _behind_lost(seen: Seen, name: str) -> bool:
    """Whether a layer reads one that was not recognised, so that its own place is not sure."""
    matches = seen.taps.matches
    read = (matches[each] for each in seen.spec.layer(name).inputs)
    return any(
        each.error > RECOGNISED if each.tensor else _behind_lost(seen, each.layer) for each in read
    )


def _places(seen: Seen) -> dict[str, Place]:
    """What the tensors of a file hold that hold a layer's values, moved or not."""
    places = {seen.network.root(name): (layer, False) for layer, name in seen.by_kernels.items()}
    places |= {name: (layer, True) for name, layer in seen.sums.items()}
    known = [
        (name, each)
        for name, each in seen.taps.seen.items()
        if not _behind_lost(seen, name) and seen.holds(name)
    ]
    best: dict[str, float] = {}
    for _, match in known:
        root = seen.network.root(match.tensor)
        best[root] = min(match.error, best.get(root, match.error))
    for layer, match in reversed(known):  # what only moves elements comes after its layer
        root = seen.network.root(match.tensor)
        if match.error <= max(best[root], RECOGNISED):  # a tensor is no layer's before its ReLU
            places[root] = (layer, False)
    return places


def torch_ranges(case: Case) -> list[Measurement]:
    """The range of every observer is the reference's at the last layer of its fused group."""
    case.require_map()
    if reason := unknown(case):
        return case.skip(RANGES, reason)
    scheme = case.workspace.settings.torch
    content = json.loads(case.workspace.artifact("torch-ranges").path.read_text())
    recorded = {name: _ends(entry) for name, entry in content.items()}
    places = _observed_layers(case, recorded)
    # Scale and zero point are kept, and every range holds 0.
    rule = Rule(scheme.method == "minmax", limits.RANGE_ROUNDED.value, holds_zero=True)
    measured = _compared(case, recorded, places, rule)
    inside = [name for name in recorded if name not in places]
    if rule.exact and not inside:
        return measured
    honest, again = honest_images(case), _observed_again(case)
    rows = [
        Recorded(
            name,
            places[name][0] if name in places else name,
            recorded[name],
            _ends(again[name]),
        )
        for name in (inside if rule.exact else recorded)
        if name in again
    ]
    # The same steps once more: of a histogram they depend on rounding, of an extreme hardly.
    limit = rule.limit if rule.exact else limits.RANGE_AGAIN.value
    return [
        *measured,
        ranges.exact_ranges(case.about, rows, limit, len(honest), what=RANGES_AGAIN),
    ]


def litert_ranges(case: Case) -> list[Measurement]:
    """The range that every scale of a LiteRT file stands for is the reference's at its layer.

    The file keeps no other record of its calibration. What a pooling, a reshape or a softmax gives
    has no range of its own there. A sum is written over the first summand that nothing else reads,
    and TensorFlow 2.21 records its inputs once more afterwards: such a summand has the sum's range
    too (tensorflow/tensorflow#127842).
    """
    case.require_map()
    if case.artifact.external:
        return fitting_ranges(case)
    if reason := unknown(case):
        return case.skip(RANGES, reason)
    from conversion.proof.checks.int8.litert_scales import CALIBRATED, EXTREMES, tied

    seen = seen_in(case)
    recorded: dict[str, Range] = {}
    for each in seen.network.tensors:
        ranged = each.kind in (*CALIBRATED, "concatenation", *EXTREMES) or not each.reads
        if each.steps is not None and each.steps.zero_point.dtype == np.int8 and ranged:
            scale, zero = float(each.steps.scale), int(each.steps.zero_point)
            low = (-128 - zero) * scale
            recorded[each.name] = low, low + STEPS * scale
    sizes = {name: prod(each.shape) for name, each in seen.taps.matches.items()}
    places, overwritten = tied(seen.network, _places(seen), sizes)
    rule = Rule(True, limits.RANGE_ROUNDED.value, holds_zero=True)
    nearly, cropped = _nearly(seen, places), _cropped(seen.network)
    return _compared(case, recorded, places, rule, overwritten, nearly, cropped)


def _cropped(network: Network) -> set[str]:
    """The convolutions whose last rows are cut off: a dilated one is computed beyond its image."""
    crops = (each for each in network.tensors if each.kind == "batch_to_space_nd")
    return {each.reads[0] for each in crops}


def _nearly(seen: Seen, places: Mapping[str, Place]) -> dict[str, Place]:
    """Tensor to the normalization that it may hold in place of the layer before it.

    One that hardly changes anything is within the rounding of eight bits of what it reads, and
    which of the two a tensor holds then shows in its range alone.
    """
    found = {}
    for tensor, (name, before) in places.items():
        readers = [each for each in seen.spec.layers if name in each.inputs]
        if before or len(readers) != 1 or readers[0].kind != "BatchNormalization":
            continue
        held = seen.taps.matches[readers[0].name].tensor
        if not held or seen.network.root(held) == tensor:
            found[tensor] = (readers[0].name, False)
    return found


def _ends(entry: Mapping[str, Any]) -> Range:
    """What an observer's scale and zero point hold."""
    return entry["scale"] * -entry["zero_point"], entry["scale"] * (STEPS - entry["zero_point"])


def _observed_layers(case: Case, observers: Iterable[str]) -> dict[str, Place]:
    """Observer to the layer that it sees: the last one of what is fused.

    What the two convolutions of a separable one hand on is no layer's value, nor is a sum of some
    of the inputs.
    """
    from conversion.backends.torch_module import SpecModule, attribute_name, describe

    spec, fused = case.workspace.spec, case.artifact.provenance["fused"]
    layers = {attribute_name(each.name): (each.name, True) for each in spec.layers}
    ends = SpecModule(describe(spec), spec.custom).ends
    layers |= {end: (name, False) for name, end in ends.items()}
    layers |= {first: layers[last] for first, *_, last in fused if last in layers}
    inputs = {str(index): (name, False) for index, name in enumerate(spec.inputs)}
    parts = {name: name.split(".") for name in observers}
    return {
        name: known[part]
        for name, (root, part, inner, *_) in parts.items()
        for known in [inputs if root == "enter" else layers]
        if part in known and inner not in ("depthwise", "partial")
    }


def _observed_again(case: Case) -> Mapping[str, Mapping[str, Any]]:
    """What the observers make of the images drawn again."""
    workspace = case.workspace
    source = workspace.artifact("torch-fp32")
    return _observed(
        (source.path, source.digest),
        workspace.spec,
        workspace.keras,
        workspace.settings,
        honest_images(case),
    )


@lru_cache(maxsize=4)
def _observed(
    source: tuple[Path, str], spec: Spec, keras: KerasModel, settings: Settings, honest: Dataset
) -> Mapping[str, Mapping[str, Any]]:
    """Calibrate again, once for all that ask the same."""
    import torch

    from conversion.quantization import torch_ranges as observing

    threads = torch.get_num_threads()
    # The observers' many small steps gain nothing from threads, which on a busy machine wait for
    # each other (18 s in place of 4).
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, ExitStack() as after:
        after.callback(torch.set_num_threads, threads)
        folder = Path(name)
        notes = calibration.save(honest, folder, settings.calibration)
        made = Artifact("calibration", folder / calibration.FILE, "", notes)
        needs = {"calibration": made, "torch-fp32": Artifact("torch-fp32", *source, {})}
        found = observing.build(
            Ingredients(spec, keras, settings, needs), folder / "torch-ranges.json"
        )
    again: Mapping[str, Mapping[str, Any]] = found["ranges"]
    return again


def _compared(
    case: Case,
    recorded: Mapping[str, Range],
    places: Mapping[str, Place],
    rule: Rule,
    overwritten: Mapping[str, str] | None = None,
    nearly: Mapping[str, Place] | None = None,
    cropped: Collection[str] = (),
) -> list[Measurement]:
    """Recorded ranges beside the reference's over the images drawn again.

    Args:
        case: whose ranges they are.
        recorded: tensor to range.
        places: tensor to the layer that it holds.
        rule: how they are judged.
        overwritten: tensor to the one whose values it may have held as well while it was observed:
            a converter that did not write over it has its own range, which is as right. Where that
            one is no layer's value, as a product that a shift follows, its recorded range is all
            that is known of it.
        nearly: tensor to another layer that it may hold; it counts as the one that its range fits.
        cropped: tensors with more values than the layer, which may span up to twice its range.
    """
    workspace, honest = case.workspace, honest_images(case)
    if not places:
        return [ranges.exact_ranges(case.about, [], rule.limit, len(honest))]
    order = {layer.name: index for index, layer in enumerate(workspace.spec.layers)}
    known = [name for name in recorded if name in places]
    known.sort(key=lambda name: (order[places[name][0]], not places[name][1], name))
    missed = sorted(set(recorded) - set(known))
    others = dict.fromkeys((overwritten or {}).values())
    beside = [name for name in others if name in places and name not in known]
    asked = [places[name] for name in (*known, *beside)]
    widened = None if rule.exact else [_widened(recorded[name], STEPS) for name in known]
    (port,) = workspace.spec.inputs
    found = workspace.keras.layer_ranges({port: honest.images}, asked, widened)
    ends = dict(zip((*known, *beside), found[:, :2].tolist(), strict=True))
    rows = []
    for name, (low, high, cut, size) in zip(known, found.tolist(), strict=False):
        layer, own = places[name][0], (low, high)
        other = (overwritten or {}).get(name, "")
        also = ends.get(other, own)
        both = _joined(own, also)
        held = [_with_zero(each) if rule.holds_zero else each for each in (both, own)]
        if other in recorded and other not in ends:
            held.append(_within(recorded[name], held[1], _joined(held[1], recorded[other])))
        if places[name][1] and (most := _ceiling(workspace.spec.layer(layer))) is not None:
            high = max(min(own[1], most), 0.0)  # what is beyond it is cut off behind it anyway
            held.append(_within(recorded[name], (held[1][0], high), held[1]))
        if name in cropped:
            held.append(_within(recorded[name], held[1], (2 * held[1][0], 2 * held[1][1])))
        wanted = min(held, key=lambda each: _apart(recorded[name], each))
        rows.append(Recorded(name, layer, recorded[name], wanted, int(cut), int(size)))
    beyond = [row.tensor for row in rows if row.deviation > rule.limit]
    doubtful = {name: place for name, place in (nearly or {}).items() if name in beyond}
    if doubtful:
        places = {**places, **doubtful}
        return _compared(case, recorded, places, rule, overwritten, None, cropped)
    if rule.exact:
        return [ranges.exact_ranges(case.about, rows, rule.limit, len(honest), missed)]
    return ranges.fitted_ranges(case.about, rows, rule.limit, len(honest), missed)


def _ceiling(layer: Layer) -> float | None:
    """Where a ReLU that a layer applies itself stops; None where it does not, or has none."""
    kind, settings = activation_layer(layer.applied) or (layer.activation, {})
    return 6.0 if kind == "relu6" else settings.get("max_value") if kind == "ReLU" else None


def _joined(one: Range, other: Range) -> Range:
    return min(one[0], other[0]), max(one[1], other[1])


def _within(found: Range, least: Range, most: Range) -> Range:
    """The range that is nearest to another of those that hold `least` and lie in `most`."""
    low, high = np.clip(found, (most[0], least[1]), (least[0], most[1])).tolist()
    return low, high


def _with_zero(found: Range) -> Range:
    return min(found[0], 0.0), max(found[1], 0.0)


def _apart(one: Range, other: Range) -> float:
    return max(abs(ours - theirs) for ours, theirs in zip(one, other, strict=True))


def _widened(found: Range, steps: int) -> Range:
    """A range and one step at either end: half for rounding, half for its zero point's own."""
    step = (found[1] - found[0]) / steps
    return found[0] - step, found[1] + step


def _rounding(case: Case) -> float:
    """How far rounding may move the end of a range: more where Keras's own noise is larger."""
    try:
        shares = [limits.POOLED.value * each.rms / each.spread for each in case.noise]
    except (NoPower, Incomparable):  # parity says so
        shares = []
    return max([limits.RANGE.value, *shares])
