"""Is it really int8? Where a file's multiply-accumulates are computed, and where its time goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conversion.core.measurement import Measurement, Verdict, judged
from conversion.core.quantity import About, Limit
from conversion.proof.metrics.quantities import INTEGER_SHARE

NOTHING_LEFT: Mapping[str, str] = {}

WHOLE = 100.0
SLOWEST = 3
"""Steps that the sentence names; the rows have all of them."""


@dataclass(frozen=True)
class Step:
    """One step of a network as it is run.

    Attributes:
        name: of the node or module.
        operator: what it is, such as ``QLinearConv``.
        layer: the layer that it computes; empty where that is not known.
        macs: multiply-accumulates of one image.
        integer: whether it multiplies integers.
        computes: whether it makes new numbers, and does not only cast or move them.
        seconds: time of a run, the median.
    """

    name: str
    operator: str
    layer: str
    macs: int
    integer: bool
    computes: bool
    seconds: float


def integer_share(
    about: About,
    steps: Sequence[Step],
    limit: Limit,
    runs: int,
    left: Mapping[str, str] = NOTHING_LEFT,
    share_left: float = 0.0,
) -> list[Measurement]:
    """The share of multiply-accumulates in integer kernels, of all and of what is not left out.

    An artifact that multiplies nothing in integers fails, whatever is left in float.

    Args:
        about: what is measured.
        steps: the network as it is run, in order.
        limit: the share that there must be, in percent.
        runs: runs that the times are of.
        left: layers that are left in float, and why.
        share_left: their percent of the multiply-accumulates.
    """
    total, share = _share(steps)
    floating = [step for step in steps if not step.integer and step.computes]
    multiplying = [step for step in floating if step.macs]
    multiplying.sort(key=lambda step: step.layer in left)  # those that may be come last
    wanted = round(limit.value - share_left, 6) if share else limit.value
    # One that may be in float and is not must not make up for one that may not be.
    among, of_others = _share([step for step in steps if step.layer not in left])
    enough = judged(of_others, ">=", limit.value) if among else Verdict.PASS
    fails = Verdict.FAIL in (judged(share, ">=", wanted), enough)
    said = (
        "" if share else _no_int8(about.artifact, total, share_left),
        _first("float operator that multiplies", multiplying),
        _first("float operator that computes", floating),
        _without_kernel(left),
        _again(steps, left),
        _casts(steps),
        _slowest(steps),
    )
    return [
        about.measure(
            INTEGER_SHARE,
            share,
            "; ".join(filter(None, said)),
            verdict=Verdict.FAIL if fails else Verdict.PASS,
            limit=wanted,
            layer=(multiplying[0].layer or None) if fails and multiplying else None,
            n=runs,
            rows=tuple(_rows(steps, total)),
        )
    ]


def _share(steps: Sequence[Step]) -> tuple[int, float]:
    """All multiply-accumulates, and the percent of them that are in integers."""
    total = sum(step.macs for step in steps)
    integer = sum(step.macs for step in steps if step.integer)
    return total, round(100 * integer / total, 6) if total else 0.0


def _no_int8(artifact: str, total: int, share_left: float) -> str:
    if not total:
        return "nothing of what is run multiplies: this is no int8 artifact"
    if round(share_left, 6) < WHOLE:
        return "nothing is multiplied in integers: this is no int8 artifact"
    return f"no layer of this model has an integer kernel in {artifact}: this is no int8 artifact"


def _first(what: str, steps: Sequence[Step]) -> str:
    if not steps:
        return f"no {what}"
    step = steps[0]
    where = f" of {step.layer}" if step.layer else ""
    return f"the first {what} is {step.operator} '{step.name}'{where}, of {len(steps)}"


def _without_kernel(left: Mapping[str, str]) -> str:
    """What is left in float, by reason."""
    named: dict[str, list[str]] = {}
    for layer, why in left.items():
        named.setdefault(why, []).append(layer)
    return "; ".join(f"{', '.join(layers)}: {why}" for why, layers in named.items())


def _again(steps: Sequence[Step], left: Collection[str]) -> str:
    """What the file leaves in float and the runtime does not."""
    found = [step.layer for step in steps if step.integer and step.layer in left]
    return f"the runtime quantizes {', '.join(found)}, which the file leaves in float" * bool(found)


def _casts(steps: Sequence[Step]) -> str:
    casts = sum(step.operator in CASTS for step in steps)
    moves = sum(step.operator == "Transpose" for step in steps)
    return f"{casts} casts between float and integer and {moves} Transpose are left"


def _slowest(steps: Sequence[Step]) -> str:
    total = sum(step.seconds for step in steps)
    if not total:
        return "times were not measured"
    slow = sorted(steps, key=lambda step: step.seconds, reverse=True)[:SLOWEST]
    named = (f"{s.operator} '{s.layer or s.name}' {100 * s.seconds / total:.0f} %" for s in slow)
    return f"slowest: {', '.join(named)} of the time"


def _rows(steps: Sequence[Step], total: int) -> list[dict[str, Any]]:
    time = sum(step.seconds for step in steps)
    ordered = sorted(steps, key=lambda step: step.seconds, reverse=True)
    return [
        {
            "step": step.name,
            "operator": step.operator,
            "layer": step.layer,
            "integer": step.integer,
            "multiply-accumulates, %": round(100 * step.macs / total, 2) if total else None,
            "time, %": round(100 * step.seconds / time, 1) if time else None,
        }
        for step in ordered
    ]


CASTS = ("QuantizeLinear", "DequantizeLinear", "Quantize", "DeQuantize")
"""Operators of ONNX, modules of PyTorch."""
