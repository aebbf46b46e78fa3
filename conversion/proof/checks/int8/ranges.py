"""Ranges: are the recorded ones those that the reference gives for the calibration images?"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from conversion.backends import Ingredients
from conversion.core.artifact import Artifact
from conversion.core.measurement import Measurement
from conversion.core.settings import Settings
from conversion.core.spec import Spec
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.calibration import honest_images, unknown
from conversion.proof.metrics import limits, ranges
from conversion.proof.metrics.compare import Incomparable, NoPower
from conversion.proof.metrics.quantities import RANGES, RANGES_AGAIN
from conversion.proof.metrics.ranges import Recorded
from conversion.quantization import calibration
from conversion.reference import KerasModel
from conversion.subjects.data import Dataset

Place = tuple[str, bool]
"""A layer, and whether it is meant as it is before its own activation."""
Range = tuple[float, float]

STEPS = 255
"""Steps of eight bits."""


@dataclass(frozen=True)
class Rule:
    """How the ranges of an artifact are to be judged.

    Attributes:
        exact: whether they are lowest and highest value; else a histogram chose them.
        limit: how far they may be from the reference's, or past them.
        steps: of the integers that they are divided into.
        holds_zero: whether every range is widened to hold 0.
    """

    exact: bool
    limit: float
    steps: int
    holds_zero: bool = False


def onnx_ranges(case: Case) -> list[Measurement]:
    """The recorded range of every tensor is the reference's at the aligned layer."""
    case.require_map()
    if reason := unknown(case):
        return case.skip(RANGES, reason)
    from onnxruntime.quantization.calibrate import load_tensors_data

    from conversion.backends.onnx_file import load
    from conversion.proof.taps.alignment import align
    from conversion.proof.taps.graph import ACTIVATIONS
    from conversion.proof.taps.onnx_operations import graph_of

    spec, graph = case.workspace.spec, graph_of(load(case.workspace.artifact("onnx-prepared").path))
    places: dict[str, Place] = {}
    for layer, place in align(spec, graph).places.items():
        places |= {name: (layer, False) for name in place.tensors if name not in places}
        if spec.layer(layer).weights and len(place.operations) > 1:
            before, last = place.operations[-2:]
            if last.kind in ACTIVATIONS:
                places.setdefault(before.writes, (layer, True))
    for operation in graph.operations:  # what only moves elements has their range
        if operation.moves and operation.reads[0] in places:
            places.setdefault(operation.writes, places[operation.reads[0]])
    recorded: dict[str, Range] = {
        name: (np.asarray(data.range_value[0]).item(), np.asarray(data.range_value[1]).item())
        for name, data in load_tensors_data(case.workspace.artifact("onnx-ranges").path).items()
    }
    exact = case.workspace.settings.onnx.method == "minmax"
    rule = Rule(exact, _rounding(case) if exact else limits.RANGE_ROUNDED.value, STEPS)
    return _compared(case, recorded, places, rule)


def torch_ranges(case: Case) -> list[Measurement]:
    """The range of every observer is the reference's at the last layer of its fused group."""
    case.require_map()
    if reason := unknown(case):
        return case.skip(RANGES, reason)
    scheme = case.workspace.settings.torch
    content = json.loads(case.workspace.artifact("torch-ranges").path.read_text())
    top = STEPS // 2 if scheme.reduce_range else STEPS
    recorded = {name: _ends(entry, top) for name, entry in content.items()}
    places = _observed_layers(case, recorded)
    # Scale and zero point are kept, and every range holds 0.
    limit = limits.RANGE_ROUNDED.value * STEPS / top
    rule = Rule(scheme.method == "minmax", limit, top, holds_zero=True)
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
            _ends(again[name], top),
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
    if reason := unknown(case):
        return case.skip(RANGES, reason)
    from conversion.backends.litert_file import load
    from conversion.proof.checks.int8.litert_rewrites import rewritten, tied
    from conversion.proof.checks.int8.quantized_litert import CALIBRATED
    from conversion.proof.taps.alignment import align
    from conversion.proof.taps.graph import ACTIVATIONS
    from conversion.proof.taps.litert_operations import graph_of

    spec = case.workspace.spec
    graph = graph_of(load(case.artifact.path), spec)
    alignment = align(spec, graph)
    places: dict[str, Place] = {}
    for layer, place in alignment.places.items():
        last = place.group[-1]
        onwards = any(alignment.places[name].factor != 1 for name in place.group)
        if onwards and layer != last:  # it holds a multiple of the layer's output
            continue
        if place.operations:
            places[place.operations[-1].writes] = (last, False)
            first, *more = (o for o in place.operations if o.kind != "shift")
            if len(more) == 1 and "kernel" in first.constants and more[0].kind in ACTIVATIONS:
                places.setdefault(first.writes, (layer, True))  # before the layer's own activation
        else:
            places |= {name: (layer, False) for name in place.tensors if name not in places}
    for name in rewritten(spec):
        places = {tensor: found for tensor, found in places.items() if found[0] != name}
    kinds = (*CALIBRATED, "concat")
    calibrated = {each.writes for each in graph.operations if each.kind in kinds}
    recorded: dict[str, Range] = {}
    for name, tensor in graph.tensors.items():
        if tensor.scale is not None and name in {*calibrated, *graph.inputs}:
            low = (-128 - tensor.zero_point) * tensor.scale
            recorded[name] = low, low + STEPS * tensor.scale
    places, overwritten = tied(graph, places)
    rule = Rule(True, limits.RANGE_ROUNDED.value, STEPS, holds_zero=True)
    return _compared(case, recorded, places, rule, overwritten)


def _ends(entry: Mapping[str, Any], top: int) -> Range:
    """What an observer's scale and zero point hold."""
    return entry["scale"] * -entry["zero_point"], entry["scale"] * (top - entry["zero_point"])


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
) -> list[Measurement]:
    """Recorded ranges beside the reference's over the images drawn again.

    Args:
        case: whose ranges they are.
        recorded: tensor to range.
        places: tensor to the layer that it holds.
        rule: how they are judged.
        overwritten: tensor to the one whose values it held as well while it was observed.
    """
    workspace, honest = case.workspace, honest_images(case)
    order = {layer.name: index for index, layer in enumerate(workspace.spec.layers)}
    known = [name for name in recorded if name in places]
    known.sort(key=lambda name: (order[places[name][0]], not places[name][1], name))
    missed = sorted(set(recorded) - set(known))
    asked = [places[name] for name in known]
    widened = None if rule.exact else [_widened(recorded[name], rule.steps) for name in known]
    (port,) = workspace.spec.inputs
    found = workspace.keras.layer_ranges({port: honest.images}, asked, widened)
    rows, ends = [], dict(zip(known, found[:, :2].tolist(), strict=True))
    for name, (layer, _), (low, high, cut, size) in zip(known, asked, found.tolist(), strict=True):
        if (over := (overwritten or {}).get(name)) in ends:
            low, high = min(low, ends[over][0]), max(high, ends[over][1])
        wanted = (min(low, 0.0), max(high, 0.0)) if rule.holds_zero else (low, high)
        rows.append(Recorded(name, layer, recorded[name], wanted, int(cut), int(size)))
    if rule.exact:
        return [ranges.exact_ranges(case.about, rows, rule.limit, len(honest), missed)]
    return ranges.fitted_ranges(case.about, rows, rule.limit, len(honest), missed)


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
    return max(limits.RANGE.value, *shares)
