"""The table of faults of the reference subjects: rows of `reference.txt`, one a fault."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from conversion.proof.faults.fault import STAGES, Fault
from conversion.proof.faults.operators import injection

ROWS = Path(__file__).with_name("reference.txt")


def reference_faults() -> tuple[Fault, ...]:
    """Every fault of the table, in its order.

    Raises:
        UserError: a row names an operator that its artifact does not have.
    """
    stage, found = "", list[Fault]()
    for line in ROWS.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            stage = line.strip("[]")
            assert stage in STAGES, line
        elif line and not line.startswith("#"):
            found.append(_fault(stage, line))
    return tuple(found)


def _fault(stage: str, line: str) -> Fault:
    name, artifact, operator, layers, value, sizes, check, where, magnitude = (
        cell.strip() for cell in line.split("|")
    )
    made = partial(injection, operator, artifact, layers.split())
    steps = tuple(map(float, sizes.split()))
    inject = made(json.loads(value) if value else None)
    resized = made if steps else None
    return Fault(name, stage, artifact, magnitude, check, where, inject, steps, resized)
