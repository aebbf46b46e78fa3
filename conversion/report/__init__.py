"""One list of measurements as a terminal table, a JSON document and an HTML page."""

from __future__ import annotations

from conversion.report.document import (
    as_document,
    environment,
    place,
    write,
)
from conversion.report.outcome import (
    ORDER,
    code_of,
    exit_code,
    outcome,
)
from conversion.report.overview import counted
from conversion.report.page import write_page
from conversion.report.power_table import render_power
from conversion.report.search_table import render_search
from conversion.report.table import render

__all__ = [
    "ORDER",
    "as_document",
    "code_of",
    "counted",
    "environment",
    "exit_code",
    "outcome",
    "place",
    "render",
    "render_power",
    "render_search",
    "write",
    "write_page",
]
