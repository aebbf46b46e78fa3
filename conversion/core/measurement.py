"""What a check returns: a value, its limit and one of four verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a measurement says; only `PASS` is a pass."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNDECIDED = "undecided"
    SKIPPED = "skipped"


class Concern(StrEnum):
    """What a measurement is about, and so what its failure means for the whole run."""

    CONVERSION = "conversion"
    """The artifact is wrong; undecided, parity has too little power to say so."""
    COST = "cost"
    """int8 costs more than allowed."""
    SPEED = "speed"
    """int8 is slower than demanded, where a speed is demanded."""
    PREPROCESSING = "preprocessing"
    """Images are prepared for deployment otherwise than for training; the artifact is right."""
    SUITE = "suite"
    """This suite itself: a fault of its own ended the check, whatever is allowed."""
    ADVICE = "advice"
    """Nothing: it is said for the reader."""


WORDS = {
    Concern.COST: "costs too much",
    Concern.SPEED: "too slow",
    Concern.PREPROCESSING: "prepared otherwise",
}
"""What a failure is called where the artifact is not wrong."""


@dataclass(frozen=True)
class Measurement:
    """One measured value against its limit.

    Attributes:
        name: what was measured, such as ``output_error_pooled``.
        topic: the check's topic, which is also its pytest marker: ``structure``, ``parity``, ...
        subject: the model under test.
        artifact: the artifact's name, such as ``onnx-fp32``.
        verdict: pass, fail, undecided or skipped.
        value: the number; None where nothing was measured.
        unit: of value and limit, such as ``x Keras's noise``, ``points`` or ``s``.
        relation: how the value must stand to the limit: ``<=``, ``>=`` or ``==``.
        limit: the limit; None where there is none.
        layer: the layer that the value belongs to, where it belongs to one.
        interval: the interval of the value, lower and upper bound.
        n: how many images or rounds the value comes from.
        seed: of whatever was drawn at random.
        reason: why the verdict is what it is, in one sentence.
        cached: whether the predictions behind the value were kept from an earlier run.
        digest: SHA-256 of the predictions behind the value.
        rows: further rows for the report.
        concerns: what a failure would mean.
        lacks_images: whether it is undecided only because more images are needed.
    """

    name: str
    topic: str
    subject: str
    artifact: str
    verdict: Verdict
    value: float | None = None
    unit: str = ""
    relation: str = ""
    limit: float | None = None
    layer: str | None = None
    interval: tuple[float, float] | None = None
    n: int | None = None
    seed: int | None = None
    reason: str = ""
    cached: bool = False
    digest: str | None = None
    rows: tuple[Mapping[str, Any], ...] = ()
    concerns: Concern = Concern.CONVERSION
    lacks_images: bool = False

    @property
    def word(self) -> str:
        """The verdict as a reader is told it: ``costs too much`` is no wrong conversion."""
        found = WORDS.get(self.concerns) if self.verdict is Verdict.FAIL else None
        return found or str(self.verdict)

    def __repr__(self) -> str:
        return f"<{replace(self, reason='').explain()}>"

    def explain(self) -> str:
        """The verdict in one sentence that needs no source to be read."""
        where = f" in layer '{self.layer}'" if self.layer else ""
        parts = [f"{self.word}: {self.artifact} on {self.subject}{where}: {self.name}"]
        if self.value is not None:
            parts.append(f"= {self.value:.6g} {self.unit}".rstrip())
        if self.limit is not None:
            parts.append(f"(must be {self.relation} {self.limit:.6g})")
        if self.interval is not None:
            parts.append(f"[{self.interval[0]:.4g}, {self.interval[1]:.4g}]")
        if self.n is not None:
            parts.append(f"n={self.n}")
        sentence = " ".join(parts)
        return f"{sentence}: {self.reason}" if self.reason else sentence


def advised(found: Measurement, reason: str) -> Measurement:
    """What would be a failure, said for the reader alone.

    Args:
        found: any measurement.
        reason: why it is no failure.
    """
    if found.verdict is not Verdict.FAIL:
        return found
    said = f"{reason}; {found.reason}" if found.reason else reason
    return replace(found, verdict=Verdict.UNDECIDED, concerns=Concern.ADVICE, reason=said)


HOLDS = {
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "==": lambda value, limit: value == limit,
}
"""Relation to the test of it; every one is false for NaN."""


def judged(value: float, relation: str, limit: float) -> Verdict:
    """Pass where the value stands to the limit as it must, else fail; NaN fails."""
    return Verdict.PASS if HOLDS[relation](value, limit) else Verdict.FAIL
