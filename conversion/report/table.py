"""The one table that `verify` prints, as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from conversion.core.measurement import Measurement, Verdict
from conversion.report import overview
from conversion.report.costs import costs
from conversion.report.outcome import Outcome

MOST_EXPLAINED = 12
GAP = "  "


def render(
    measurements: Sequence[Measurement], sizes: Mapping[str, int], outcome: Outcome | None = None
) -> str:
    """The table, one row an artifact, and below it what did not pass.

    Args:
        measurements: the checks' results. They decide every verdict in the table.
        sizes: bytes by artifact; a KB is 1,000 of them.
        outcome: what the run comes to, where it ends with it.

    Returns:
        Lines without a newline at the end: the table, at most 12 explanations, how many standard
        faults would be seen, what was skipped and why, whose predictions were kept, the counts, and
        the exit code in words.
    """
    lines = _aligned([row.cells for row in overview.rows(measurements, sizes)])
    wanting = overview.attention(measurements)
    notes = list(map(one_line, costs(measurements)))
    notes += [one_line(measurement.explain()) for measurement in wanting[:MOST_EXPLAINED]]
    if len(wanting) > MOST_EXPLAINED:
        notes.append(f"… and {len(wanting) - MOST_EXPLAINED} more")
    notes.extend(map(one_line, overview.visible(measurements)))
    notes.extend(map(one_line, overview.skips(measurements)))
    if kept := overview.kept(measurements):
        notes.append(f"predictions kept from an earlier run: {one_line(', '.join(kept))}")
    last = [] if outcome is None else [one_line(str(outcome))]
    blocks = [lines, notes, [summary(measurements), *last]]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def summary(measurements: Sequence[Measurement]) -> str:
    """How many passed, failed, are undecided and were skipped, in one line."""
    found = overview.counts(measurements)
    return (
        f"{found[Verdict.PASS]} passed, {found[Verdict.FAIL]} failed, "
        f"{found[Verdict.UNDECIDED]} undecided, {found[Verdict.SKIPPED]} skipped"
    )


def one_line(text: str) -> str:
    """Text on one line that moves no cursor: names and reasons may come from a stranger's file."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _aligned(table: Sequence[tuple[overview.Cell, ...]]) -> list[str]:
    columns = zip(*table, strict=True) if table else ([] for _ in overview.HEADERS)
    texts = [
        _column(header, list(cells))
        for header, cells in zip(overview.HEADERS, columns, strict=True)
    ]
    lines = [GAP.join(line).rstrip() for line in zip(*texts, strict=True)]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _column(header: str, cells: Sequence[overview.Cell]) -> list[str]:
    """Header and cells, equally wide; numbers stand at the right of their place, words left."""
    clean = [tuple(one_line(part) for part in cell) for cell in cells]
    widths = [max(map(len, parts)) for parts in zip_longest(*clean, fillvalue="")]
    words = header in (overview.HEADERS[0], overview.HEADERS[-1])
    texts = [header, *(_padded(cell, widths, words).rstrip() for cell in clean)]
    width = max(map(len, texts))
    return [text.ljust(width) for text in texts]


def _padded(cell: overview.Cell, widths: Sequence[int], words: bool) -> str:
    pairs = zip(cell, widths, strict=False)  # a cell may have fewer parts than its column
    return " ".join(
        part.ljust(width) if words or part.isalpha() else part.rjust(width) for part, width in pairs
    )
