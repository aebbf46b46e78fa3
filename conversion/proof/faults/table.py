"""The faults of the reference subjects, out of their table."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from conversion.proof.faults.fault import Fault
from conversion.proof.faults.operators import injection
from conversion.proof.standard.table import rows, value_of

ROWS = Path(__file__).with_name("reference.txt")


def reference_faults() -> tuple[Fault, ...]:
    """Every fault of the reference subjects, in the table's order.

    Raises:
        UserError: a row names an operator that its artifact does not have.
    """
    return tuple(_fault(stage, *cells) for stage, cells in rows(ROWS))


def _fault(
    stage: str,
    name: str,
    artifact: str,
    operator: str,
    layers: str,
    value: str,
    sizes: str,
    check: str,
    where: str,
    magnitude: str,
) -> Fault:
    made = partial(injection, operator, artifact, layers.split())
    steps = tuple(map(float, sizes.split()))
    inject, resized = made(value_of(value)), made if steps else None
    return Fault(name, stage, artifact, magnitude, check, where, inject, steps, resized)
