"""What a table's row says of an artifact: every cell, and the verdict over all of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.report import overview

COLUMNS = ("artifact", "parity", "top-1", "latency", "size", "memory", "verdict")


def measured(name: str, topic: str, verdict: str = "pass", **fields: Any) -> Measurement:
    """A measurement of ``onnx-int8`` on ``mine`` unless the fields say otherwise."""
    concerns = Concern.SPEED if topic == "latency" else Concern.CONVERSION
    fields = {"subject": "mine", "artifact": "onnx-int8", "concerns": concerns, **fields}
    return Measurement(name=name, topic=topic, verdict=Verdict(verdict), **fields)


def parity(value: float | None, verdict: str = "pass", **fields: Any) -> Measurement:
    """A pooled output error with a limit of 10."""
    fields = {"limit": 10.0, "relation": "<=", "n": 200, **fields}
    return measured("output_error_pooled", "parity", verdict, value=value, **fields)


def column(name: str, *measurements: Measurement, sizes: dict[str, int] | None = None) -> str:
    """What the first row says in one of `COLUMNS`."""
    cell = overview.rows(measurements, sizes or {})[0].cells[COLUMNS.index(name)]
    return " ".join(part for part in cell if part)


def test_every_column_has_its_header() -> None:
    headers = [header.split(",")[0].split()[0] for header in overview.HEADERS]
    assert headers == list(COLUMNS)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([("parity", "pass"), ("parity", "fail"), ("parity", "undecided")], "fail"),
        ([("parity", "pass"), ("accuracy", "undecided")], "undecided"),
        ([("parity", "pass"), ("latency", "undecided")], "pass"),
        ([("parity", "pass"), ("latency", "fail")], "too slow"),
        ([("latency", "undecided"), ("parity", "skipped")], "undecided (1 skipped)"),
        ([("parity", "pass"), ("parity", "skipped"), ("layers", "skipped")], "pass (2 skipped)"),
        ([("parity", "skipped"), ("accuracy", "skipped")], "skipped (2)"),
    ],
)
def test_the_verdict_is_the_worst(verdicts: list[tuple[str, str]], expected: str) -> None:
    found = [measured("any_name", topic, verdict) for topic, verdict in verdicts]
    assert column("verdict", *found) == expected


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        pytest.param(parity(1.034), "1.03 / 10", id="a multiple"),
        pytest.param(parity(12_345.6, "fail"), "1.23e+04 / 10 fail", id="a large failure"),
        pytest.param(parity(math.nan, "fail"), "nan / 10 fail", id="not a number"),
        pytest.param(parity(math.inf, "fail"), "inf / 10 fail", id="infinite"),
        pytest.param(parity(None, "fail"), "- / 10 fail", id="a failure without a number"),
        pytest.param(parity(1.0, "undecided"), "1.00 / 10 undecided", id="undecided"),
        pytest.param(parity(1.0, limit=None), "1.00 / -", id="no limit"),
        pytest.param(parity(None, "skipped"), "-", id="skipped"),
        pytest.param(measured("other", "parity", value=3.0), "-", id="another name"),
    ],
)
def test_parity_is_shown_against_its_limit(measurement: Measurement, expected: str) -> None:
    assert column("parity", measurement) == expected


def test_parity_is_the_worst_of_its_measurements() -> None:
    found = [
        parity(1.0),
        measured("output_error_channel", "parity", value=8.0, limit=10.0),
        measured("output_error_image", "parity", value=9.0, limit=100.0),
    ]
    assert column("parity", *found) == "8.00 / 10"


@pytest.mark.parametrize("worst", [None, math.nan])
def test_a_failure_that_has_no_number_hides_behind_no_good_one(worst: float | None) -> None:
    found = [parity(1.0), measured("output_error_image", "parity", "fail", value=worst, limit=10.0)]
    assert column("parity", *found) in ("- / 10 fail", "nan / 10 fail")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], "-", id="nothing"),
        pytest.param([("top1_correct", {"value": 9, "n": 10})], "9/10 = 90.00 %", id="a count"),
        pytest.param([("top1_correct", {"value": 9})], "9", id="a count of unknown total"),
        pytest.param([("top1_correct", {"value": 0, "n": 0})], "0", id="no images"),
        pytest.param(
            [("top1_correct", {"value": 9, "n": 10}), ("top1_change", {"value": -0.001})],
            "9/10 = 90.00 % +0.00",
            id="a change without an interval",
        ),
        pytest.param(
            [("top1_change", {"value": -0.4, "interval": (-0.61, 0.0)})],
            "- -0.40 [-0.61, +0.00]",
            id="a change without a count",
        ),
        pytest.param(
            [
                ("top1_correct", {"value": 9, "n": 10}),
                ("top1_non_inferiority", {"verdict": "fail"}),
            ],
            "9/10 = 90.00 % fail",
            id="a failed test of the change",
        ),
    ],
)
def test_top1_is_a_count_with_its_change(
    found: list[tuple[str, dict[str, Any]]], expected: str
) -> None:
    filler = measured("structure_inputs", "structure")
    accuracy = [measured(name, "accuracy", **fields) for name, fields in found]
    assert column("top-1", filler, *accuracy) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param({"latency_batch_32": 0.5, "latency_ratio_batch_32": 2.0}, "-", id="batch 32"),
        pytest.param({"latency_batch_1": 0.0123456}, "12.346", id="no baseline"),
        pytest.param({"latency_ratio_batch_1": 0.61}, "- 0.61x", id="a ratio alone"),
        pytest.param(
            {"latency_batch_1": 0.001, "latency_ratio_batch_1": 1.2}, "1.000 1.20x", id="both"
        ),
    ],
)
def test_latency_is_in_milliseconds_at_batch_1(found: dict[str, float], expected: str) -> None:
    latency = [measured(name, "latency", value=value) for name, value in found.items()]
    assert column("latency", *latency) == expected


def test_an_artifact_that_is_slower_than_its_baseline_is_called_so() -> None:
    ratio = measured("latency_ratio_batch_1", "latency", value=0.61, interval=(0.6, 0.62))
    assert column("latency", ratio) == "- 0.61x [0.60, 0.62] slower"


def test_a_size_is_in_thousands_of_bytes() -> None:
    assert column("size", parity(1.0), sizes={"onnx-int8": 98_123}) == "98.1"
    assert column("size", parity(1.0), sizes={}) == "-"


def test_memory_is_in_whole_megabytes():
    grown = {"value": 13.4, "unit": "MB"}
    assert column("memory", measured("memory", "latency", **grown)) == "13"
    assert column("memory", parity(1.0)) == "-"


def test_an_artifact_without_a_measurement_still_has_a_row() -> None:
    unchecked = overview.rows([parity(1.0)], {"torch-int8": 1000})[1]
    assert unchecked.cells[0] == ("torch-int8",)
    assert unchecked.cells[-1] == ("not checked",)
    assert unchecked.verdict is None
