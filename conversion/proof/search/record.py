"""What a search has measured so far, on disk after every candidate, so that it can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.core.errors import UserError
from conversion.proof.search.rows import Row, from_plain

NAME = "search.jsonl"


class Record:
    """One line that says what is searched, and one for every candidate that was measured."""

    def __init__(self, folder: Path, identity: Mapping[str, Any], resume: bool) -> None:
        """Start a record, or go on with one.

        Args:
            folder: where it lies.
            identity: everything that a measured row depends on, plain values.
            resume: whether to go on; a search that was stopped is then not begun again.

        Raises:
            UserError: there is nothing to go on with, or it is the record of another search: of
                another model, other images, another machine or other versions.
        """
        self.path = folder / NAME
        self.rows: dict[str, Row] = {}
        identity = json.loads(json.dumps(identity))
        if resume:
            self._read(identity)
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(identity) + "\n")

    def add(self, row: Row) -> None:
        """Keep a row."""
        self.rows[row.label] = row
        with self.path.open("a") as file:
            file.write(json.dumps(row.plain()) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, identity: Mapping[str, Any]) -> None:
        if not self.path.is_file():
            raise UserError(
                f"Expected the record of a search at {self.path}; there is none: leave out "
                "--resume."
            )
        found, *lines = self.path.read_text().splitlines() or [""]
        try:
            known = json.loads(found)
        except ValueError:
            known = {}
        known = known if isinstance(known, dict) else {}
        odd = [key for key in identity if known.get(key) != identity[key]]
        if odd:
            raise UserError(
                f"Expected the record of this search at {self.path}; it is of another one (its "
                f"{' and '.join(odd)}): leave out --resume."
            )
        whole = []
        for line in lines:
            try:
                row = from_plain(json.loads(line))
            except (ValueError, TypeError, KeyError):
                break  # the last line of a search that was killed while it wrote
            self.rows[row.label] = row
            whole.append(line)
        self.path.write_text("".join(f"{line}\n" for line in (found, *whole)))
