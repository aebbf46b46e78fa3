"""Tables of faults: text files with a row a fault, under the stage that it belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from conversion.proof.faults.fault import STAGES, Fault
from conversion.proof.faults.operators import injection

ROWS = Path(__file__).with_name("reference.txt")


def reference_faults() -> tuple[Fault, ...]:
    """Every fault of the reference subjects, in the table's order.

    Raises:
        UserError: a row names an operator that its artifact does not have.
    """
    return tuple(_fault(stage, *cells) for stage, cells in rows(ROWS))


def rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The stage and the cells of every row of a table."""
    stage = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            stage = line.strip("[]")
            assert stage in STAGES, line
        elif line and not line.startswith("#"):
            yield stage, [cell.strip() for cell in line.split("|")]


def value_of(cell: str) -> Any:
    """What a cell says in JSON; None where it is empty."""
    return json.loads(cell) if cell else None


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
