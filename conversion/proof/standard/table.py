"""Tables of faults: text files with a row a fault, under the stage that it belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STAGES = ("input", "conversion", "output", "calibration", "quantization", "measurement")
"""Where faults come from, in the order of the data's way."""

STANDARD = Path(__file__).with_name("standard.txt")
"""The standard faults of any model."""


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
