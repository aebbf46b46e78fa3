"""Detection power as a terminal table: faults, who caught them, what accuracy would have missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from conversion.report.columns import columns

HEADERS = ("fault", "artifact", "magnitude", "caught by", "named", "top-1, points", "smallest")


def render_power(document: Mapping[str, Any]) -> str:
    """The table and its sums.

    Args:
        document: ``faults`` and ``controls`` as `power.json` holds them.
    """
    lines = []
    for subject in dict.fromkeys(fault["subject"] for fault in document["faults"]):
        faults = [fault for fault in document["faults"] if fault["subject"] == subject]
        lines += [subject, *columns(HEADERS, [_row(fault) for fault in faults]), ""]
    return "\n".join([*lines, *sums(document)])


def sums(document: Mapping[str, Any]) -> list[str]:
    """What the table comes to, in sentences."""
    faults, controls = document["faults"], document["controls"]
    names = {fault["name"] for fault in faults}
    caught = sum(fault["caught"] for fault in faults)
    named = sum(fault["localised"] for fault in faults)
    missed = sum(not fault["accuracy_alone"] for fault in faults)
    counted = any(fault["top1_change"] is not None for fault in faults)
    bad = [control for control in controls if control["failed"]]
    total = len(faults)
    found = [
        f"{len(names)} faults, {total} trials: {caught} caught, {named} named rightly "
        f"({_share(named, total)})"
        + (f"; top-1 alone would have missed {missed}" if counted else ""),
        f"{len(controls)} untouched artifacts: {len(controls) - len(bad)} without a failure",
    ]
    found += [f"  {c['subject']} {c['artifact']}: {'; '.join(c['failed'])}" for c in bad]
    reasons = Counter(document.get("left_out", {}).values())
    found += [f"{count} faults not injected: {reason}" for reason, count in reasons.most_common()]
    lost = [fault for fault in faults if not (fault["caught"] and fault["localised"])]
    found += [
        f"  {fault['subject']} {fault['name']}: expected {fault['expected_check'] or 'a check'} "
        f"to name {fault['expected_layer']}; " + _instead(fault)
        for fault in lost
    ]
    return found


def _instead(fault: Mapping[str, Any]) -> str:
    if fault["caught"]:
        return f"it named {fault['named_layer'] or 'nothing'}"
    return f"it stopped: {fault['errors'][0]}" if fault["errors"] else "it passed"


def result(fault: Mapping[str, Any]) -> str:
    """What became of a fault: caught and named, caught alone, or missed."""
    if not fault["caught"]:
        return "stopped with an error" if fault["errors"] else "missed"
    if not fault["localised"]:
        return f"caught, but named {fault['named_layer'] or 'nothing'}"
    return f"caught, {fault['named_layer']} named"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _row(fault: Mapping[str, Any]) -> tuple[str, ...]:
    caught = fault["caught_by"]
    expected = fault["expected_check"] or next(iter(caught), "any")
    others = len(caught) - (expected in caught)
    by = expected if fault["caught"] else f"not {expected}"
    change = fault["top1_change"]
    mark = "" if fault["accuracy_alone"] else " missed"
    return (
        fault["name"],
        fault["artifact"],
        fault["magnitude"],
        f"{by} +{others}" if others else by,
        fault["named_layer"][:40] if fault["localised"] else f"{fault['named_layer'] or '-'} ?",
        "-" if change is None else f"{change:+.1f}{mark}",
        "-" if fault["smallest"] is None else f"{fault['smallest']:g}",
    )
