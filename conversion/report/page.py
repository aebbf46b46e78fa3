"""The report as one HTML file that opens without a network or a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from conversion.core.measurement import Measurement
from conversion.report import overview, power_table
from conversion.report.document import measurements_of, place
from conversion.report.table import summary

NAME = "report.html"
TEMPLATE = Path(__file__).with_name("page.html.jinja")
MOST_ROWS = 200
MOST_COLUMNS = 40


def write_page(document: Mapping[str, Any], folder: Path) -> Path:
    """Write `report.html` in one step: all that the document holds, for a person to read.

    Args:
        document: as `as_document` returns it, or as read from `report.json`.
        folder: where it belongs; made where it is missing.

    Returns:
        The file.
    """
    from jinja2 import Environment, StrictUndefined

    jinja = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    jinja.filters.update(shown=shown, interval=interval, small_table=small_table)
    template = jinja.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return place(template.render(_content(document)) + "\n", folder / NAME)


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    measurements = measurements_of(document)
    artifacts = document.get("artifacts", [])
    sizes = {a.get("label", a["name"]): a["size"] for a in artifacts if a.get("size") is not None}
    return {
        "verdict": overview.overall(measurements),
        "word": overview.word(measurements),
        "summary": summary(measurements),
        "outcome": document.get("outcome"),
        "subjects": list(dict.fromkeys(m.subject for m in measurements)),
        "headers": overview.HEADERS,
        "rows": overview.rows(measurements, sizes),
        "attention": overview.attention(measurements),
        "visible": overview.visible(measurements),
        "skips": overview.skips(measurements),
        "kept": overview.kept(measurements),
        "topics": _grouped(measurements),
        "artifacts": artifacts,
        "warnings": document.get("warnings", []),
        "data": document.get("data", {}),
        "power": _power(document.get("power")),
        "environment": document["environment"],
        "schema": document["schema"],
    }


def _power(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The section on detection power: its sums and a line for each trial, what was missed first."""
    if document is None:
        return None
    found: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "subject": lambda fault: fault["subject"],
        "fault": lambda fault: fault["name"],
        "magnitude": lambda fault: fault["magnitude"],
        "result": power_table.result,
        "expected": lambda fault: f"{fault['expected_check'] or 'any'}: {fault['expected_layer']}",
        "failed checks": lambda fault: ", ".join(fault["caught_by"]),
        "top-1, points": lambda fault: fault["top1_change"],
        "smallest caught": lambda fault: fault["smallest"],
        "largest missed": lambda fault: fault["missed"],
    }
    ordered = sorted(document["faults"], key=lambda fault: fault["caught"] + fault["localised"])
    lines = [[show(fault) for show in found.values()] for fault in ordered]
    return {"sums": power_table.sums(document), "header": list(found), "lines": lines}


def _grouped(measurements: Sequence[Measurement]) -> dict[str, dict[str, list[Measurement]]]:
    """Measurements by topic, then by artifact, in the order in which they are first met."""
    topics: dict[str, dict[str, list[Measurement]]] = {}
    for measurement in measurements:
        artifacts = topics.setdefault(measurement.topic, {})
        artifacts.setdefault(measurement.artifact, []).append(measurement)
    return topics


def shown(value: Any) -> str:
    """A plain value as a person reads it; None is a dash, nested values are JSON."""
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, float):
        return f"{value:z.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:z.6g}"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def interval(bounds: tuple[float, float] | None) -> str:
    """The interval's bounds, a dash where there is none."""
    return "-" if bounds is None else f"[{bounds[0]:z.4g}, {bounds[1]:z.4g}]"


def small_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as a header and lines of cells, with what had to be left out for the page's sake."""
    flat = [_flat(row) for row in rows]
    header = list(dict.fromkeys(key for row in flat for key in row))
    left_out = [
        f"{total - most} more {what}"
        for total, most, what in (
            (len(rows), MOST_ROWS, "rows"),
            (len(header), MOST_COLUMNS, "columns"),
        )
        if total > most
    ]
    header = header[:MOST_COLUMNS]
    return {
        "header": header,
        "lines": [[row.get(key) for key in header] for row in flat[:MOST_ROWS]],
        "left_out": " and ".join(left_out),
    }


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with a column for each item of a list, as in a confusion matrix."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, list | tuple):
            flat.update({f"{key} {index}": item for index, item in enumerate(value)})
        else:
            flat[key] = value
    return flat
