"""One list of measurements as a terminal table, a JSON document and an HTML page."""

from __future__ import annotations

from conversion.report.document import as_document, environment, write
from conversion.report.overview import exit_code
from conversion.report.page import write_page
from conversion.report.table import render

__all__ = ["as_document", "environment", "exit_code", "render", "write", "write_page"]
