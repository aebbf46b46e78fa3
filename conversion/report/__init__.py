"""One list of measurements as a terminal table, a JSON document and an HTML page."""

from __future__ import annotations

from conversion.report.document import as_document, environment, place, write
from conversion.report.overview import counted, exit_code
from conversion.report.page import write_page
from conversion.report.power_table import render_power
from conversion.report.search_table import render_search
from conversion.report.table import render

__all__ = [
    "as_document",
    "counted",
    "environment",
    "exit_code",
    "place",
    "render",
    "render_power",
    "render_search",
    "write",
    "write_page",
]
