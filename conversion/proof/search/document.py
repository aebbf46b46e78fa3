"""A search as plain values, for `search.json` and the table."""

from __future__ import annotations

from typing import Any

from conversion.proof.search.measure import BASELINE
from conversion.proof.search.rows import front, remark
from conversion.proof.search.search import Choice, Found
from conversion.proof.timing.turns import PROCESSES


def document(found: Found, choice: Choice) -> dict[str, Any]:
    """What `search.json` holds: every row as measured, the front, the recommendation and why."""
    best, row = {each.label for each in front(found.rows)}, found.recommendation.row
    return {
        "subject": found.workspace.subject.name,
        "baseline": BASELINE,
        "processes": PROCESSES,
        "selection": found.selection,
        "rows": [
            {
                **each.plain(),
                "speed": {str(batch): vars(speed) for batch, speed in each.speed.items()},
                "share": each.share,
                "front": each.label in best,
                "remark": found.rejected.get(each.label) or remark(each, row),
            }
            for each in found.rows
        ],
        "recommended": None if row is None else row.label,
        "scheme": None if row is None else dict(row.scheme),
        "reason": found.recommendation.reason,
        "rejected": dict(found.rejected),
        "banned": list(choice.banned),
        "skipped": dict(found.skipped),
        "stopped": found.stopped,
        "seconds": found.seconds,
        "budget": choice.budget,
    }
