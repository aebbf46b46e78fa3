"""What can be measured, and the one way to make a measurement of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from conversion.core.measurement import Concern, Measurement, Verdict, judged


@dataclass(frozen=True)
class Limit:
    """A limit with its reason.

    Attributes:
        value: the limit.
        unit: its unit.
        measured: the largest value seen on an artifact that is right; None where it is a rule.
        reason: why it is where it is.
        relation: how a value must stand to it: ``<=``, ``>=`` or ``==``.
    """

    value: float
    unit: str
    measured: float | None
    reason: str
    relation: str = "<="


@dataclass(frozen=True)
class Question:
    """What a check asks.

    Attributes:
        name: the check's name, a stable word.
        topic: its pytest marker.
        holds: what must hold, in words.
    """

    name: str
    topic: str
    holds: str

    @property
    def whole(self) -> Quantity:
        """The check as a whole, where it cannot be made."""
        return Quantity(self.name.replace("-", "_"), self, self.holds)


@dataclass(frozen=True)
class Quantity:
    """What a check measures.

    Attributes:
        name: the measurement's name, a stable word.
        question: the check that measures it.
        meaning: what it is, in one sentence.
        limit: its limit; None where the model or the user gives it, or none is needed.
        unit: of value and limit, where there is no limit of its own.
        relation: how the value must stand to a limit that is given, likewise.
        among: which of the check's artifacts have it, where not all: one's name, or ``float``,
            ``int8``, ``converted``, with a comma between where several must hold.
    """

    name: str
    question: Question
    meaning: str
    limit: Limit | None = None
    unit: str = ""
    relation: str = "<="
    among: str = ""


class Details(TypedDict, total=False):
    """Fields of a measurement that its quantity does not give."""

    unit: str
    layer: str | None
    interval: tuple[float, float] | None
    n: int | None
    seed: int | None
    cached: bool
    digest: str | None
    rows: tuple[Mapping[str, Any], ...]
    concerns: Concern
    lacks_images: bool


@dataclass(frozen=True)
class About:
    """What measurements are about.

    Attributes:
        subject: the model under test.
        artifact: the artifact's name.
    """

    subject: str
    artifact: str

    def measure(
        self,
        what: Quantity,
        value: float | None = None,
        reason: str = "",
        *,
        verdict: Verdict | None = None,
        limit: float | None = None,
        doubt: str = "",
        **details: Unpack[Details],
    ) -> Measurement:
        """One measurement.

        Args:
            what: what is measured.
            value: the number; None where nothing was measured.
            reason: why the verdict is what it is.
            verdict: where the value does not say it; a value without a limit passes.
            limit: in place of the quantity's own.
            doubt: why a pass would not be believed; it is then undecided, and the reason begins
                with it.
            details: further fields of the measurement.
        """
        relation, unit = what.relation, what.unit
        if what.limit is not None:
            relation, unit = what.limit.relation, what.limit.unit
            limit = what.limit.value if limit is None and value is not None else limit
        if verdict is None:
            assert value is not None
            verdict = Verdict.PASS if limit is None else judged(value, relation, limit)
        if doubt:
            verdict = Verdict.UNDECIDED if verdict is Verdict.PASS else verdict
            reason = f"{doubt}; {reason}" if reason else doubt
        bare = value is None and limit is None
        details.setdefault("unit", "" if bare else unit)
        return Measurement(
            what.name,
            what.question.topic,
            self.subject,
            self.artifact,
            verdict,
            value,
            relation="" if limit is None else relation,
            limit=limit,
            reason=reason,
            **details,
        )
