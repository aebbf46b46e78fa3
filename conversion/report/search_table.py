"""A search as a terminal table: every candidate with what it costs and gains, and what to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conversion.report.columns import columns

HEADERS = (
    "",
    "scheme",
    "top-1, points",
    "same answers",
    "SQNR, dB",
    "batch 1",
    "batch 32",
    "KB",
    "MB",
    "remark",
)


def render_search(document: Mapping[str, Any]) -> str:
    """The table, the recommendation and the reason for it.

    Args:
        document: what `search.json` holds.
    """
    lines = [
        *columns(HEADERS, [_row(row) for row in document["rows"]]),
        "",
        f"* no other is better in answers, speed and size at once; speed is against "
        f"{document['baseline']} on one thread, {document['processes']} processes each; chosen on "
        f"{document['selection']} training images that calibrate nothing",
    ]
    lines += [f"left out: {label}: {why}" for label, why in document["skipped"].items()]
    lines += [f"banned: {label}" for label in document["banned"]]
    if document["stopped"]:
        lines.append(f"stopped: {document['stopped']}; --resume goes on from here")
    taken = document["recommended"] or "none"
    lines += ["", f"recommended: {taken}", f"because: {document['reason']}"]
    return "\n".join(lines)


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        "*" if row["front"] else "",
        row["label"],
        "-" if row["change"] is None else f"{row['change']:+.2f} {_interval(row['interval'], '+')}",
        f"{row['share']:.2f} %",
        f"{row['sqnr']:.1f}",
        *(_speed(row["speed"].get(batch)) for batch in ("1", "32")),
        f"{row['size'] / 1000:.0f}",
        f"{row['memory'] / 1e6:.0f}",
        row["remark"],
    )


def _interval(pair: tuple[float, float], sign: str = "") -> str:
    return f"[{pair[0]:{sign}.2f}, {pair[1]:{sign}.2f}]"


def _speed(speed: Mapping[str, Any] | None) -> str:
    if speed is None:  # so many images at a time are not timed
        return "-"
    return f"{speed['ratio']:.2f}x {_interval((speed['low'], speed['high']))}"
