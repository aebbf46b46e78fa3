"""Would the comparisons that were made have seen a fault? One sample of faults, one share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics import limits
from conversion.proof.metrics.quantities import FAULTS_VISIBLE

NAMED = 3
"""Faults that the sentence names."""

STORED = "stored weights"
"""Where a fault in a weight is seen that the file is known to have, element by element."""


MOST = 1e9
"""Stands in the report for infinity, which what a fault makes not a number is off by."""


@dataclass(frozen=True)
class Sight:
    """Whether a fault would be seen.

    Attributes:
        fault: what it is, in words.
        layer: the layer at fault.
        by: where it would be looked at: a layer that was compared, or `STORED`.
        times: how far it stands above the limit there; from 1 on it is seen.
    """

    fault: str
    layer: str
    by: str
    times: float

    @property
    def is_seen(self) -> bool:
        """Whether the fault would be seen."""
        return self.by == STORED or self.times > 1

    def __str__(self) -> str:
        where = f"{self.times:.2g} x the limit" if self.by else "nothing behind it is compared"
        return f"{self.layer}: {self.fault} ({where})"


def visibility(
    about: About, sights: Sequence[Sight], weighted: Collection[str], n: int, inputs: str = ""
) -> Measurement:
    """The share of the sample that would be seen; too small a share leaves parity undecided.

    Args:
        about: what is measured.
        sights: one a fault.
        weighted: names of the layers with weights.
        n: images that the faults were evaluated on.
        inputs: how they were chosen, in words; empty where there is nothing to say.
    """
    seen = [each for each in sights if each.is_seen]
    dark = sorted(set(weighted) - {each.layer for each in seen})
    value = 100 * len(seen) / len(sights)
    few = value < limits.VISIBLE.value
    lost = sorted((each for each in sights if not each.is_seen), key=lambda each: each.times)
    said = f"{len(seen)} of {len(sights)} standard faults would be seen in {about.artifact}"
    if lost:
        said += f"; not seen: {'; '.join(map(str, lost[:NAMED]))}"
        said += f"; and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    doubt = f"no fault of {', '.join(dark[:NAMED])} would be seen" if dark else ""
    doubt += f" nor of {len(dark) - NAMED} other layers" if len(dark) > NAMED else ""
    return about.measure(
        FAULTS_VISIBLE,
        value,
        "; ".join(filter(None, (doubt, said, inputs))),
        verdict=Verdict.UNDECIDED if few or dark else Verdict.PASS,
        n=n,
        rows=tuple(
            {"layer": e.layer, "fault": e.fault, "seen by": e.by, "x the limit": min(e.times, MOST)}
            for e in (*lost, *seen)
        ),
    )
