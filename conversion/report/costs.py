"""What costs an int8 artifact its accuracy, and which layers in float would win it back."""

from __future__ import annotations

from collections.abc import Sequence

from conversion.core.measurement import Measurement, Verdict
from conversion.proof.metrics.quantities import INT8_CHANGE, LAYER_SQNR, NON_INFERIORITY

POINT = 1.0
"""Points of loss from which on the cause is said."""

COARSE = 10.0
"""SQNR in dB of a layer below which the cause is said: its noise is a third of its signal."""

HEAD = 3
"""Layers of the ranking that are shown."""


def costs(measurements: Sequence[Measurement]) -> list[str]:
    """One sentence for each int8 artifact that loses a point, more than is allowed, or a layer.

    Args:
        measurements: of a run.
    """
    ranked = {(m.subject, m.artifact): m.rows for m in measurements if m.name == LAYER_SQNR.name}
    said: dict[tuple[str, str], str] = {}
    for m in measurements:
        key = (m.subject, m.artifact)
        if _is_loss(m) and key not in said and (rows := ranked.get(key)):
            head = [(str(r["layer"]), float(r["damage"])) for r in rows if r["damage"]][:HEAD]
            if head:
                said[key] = _sentence(m.artifact, head)
    return list(said.values())


def _is_loss(m: Measurement) -> bool:
    if m.name == NON_INFERIORITY.name:
        return m.verdict is Verdict.FAIL
    if m.name == LAYER_SQNR.name:
        return m.value is not None and m.value < COARSE
    lost = (m.name, m.topic) == (INT8_CHANGE.name, INT8_CHANGE.question.topic)
    return lost and m.value is not None and m.value <= -POINT


def _sentence(artifact: str, head: Sequence[tuple[str, float]]) -> str:
    named = ", ".join(f"{layer} {damage:.1%}" for layer, damage in head)
    floats = ",".join(layer.partition("+")[0] for layer, _ in head)
    first = head[0][0].partition("+")[0]
    return (
        f"{artifact}: {first} costs most (noise that each layer alone adds to the outputs, of "
        f"their spread: {named}); try --float-layers {floats}"
    )
