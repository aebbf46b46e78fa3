"""The terminal's table: what stands in it, and that it never says pass for a failure."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.report import render
from conversion.report.outcome import Outcome

NAMES = (
    "output_error_pooled",
    "output_error_channel",
    "output_error_image",
    "top1_correct",
    "top1_change",
    "top1_non_inferiority",
    "latency_batch_1",
    "latency_ratio_batch_1",
    "structure_inputs",
)
TOPICS = ("structure", "parity", "accuracy", "latency")
NUMBERS = st.none() | st.floats()
MEASUREMENTS = st.builds(
    Measurement,
    name=st.sampled_from(NAMES),
    topic=st.sampled_from(TOPICS),
    subject=st.just("mine"),
    artifact=st.sampled_from(["a", "b"]),
    verdict=st.sampled_from(list(Verdict)),
    value=NUMBERS,
    limit=NUMBERS,
    relation=st.just("<="),
    interval=st.none() | st.tuples(st.floats(), st.floats()),
    n=st.none() | st.integers(0, 10_000),
    reason=st.sampled_from(["", "why"]),
    concerns=st.sampled_from(list(Concern)),
)


def measured(name: str, topic: str, verdict: str = "pass", **fields: Any) -> Measurement:
    """A measurement of ``onnx-int8`` on ``mine`` unless the fields say otherwise."""
    concerns = Concern.SPEED if topic == "latency" else Concern.CONVERSION
    fields = {"subject": "mine", "artifact": "onnx-int8", "concerns": concerns, **fields}
    return Measurement(name=name, topic=topic, verdict=Verdict(verdict), **fields)


def parity(value: float | None, verdict: str = "pass", **fields: Any) -> Measurement:
    """A pooled output error with a limit of 10."""
    fields = {"limit": 10.0, "relation": "<=", "n": 200, **fields}
    return measured("output_error_pooled", "parity", verdict, value=value, **fields)


def lines(*measurements: Measurement, **sizes: int) -> list[str]:
    """The lines of the table and of what stands below it."""
    return render(measurements, sizes).splitlines()


def test_a_whole_table_reads_as_follows() -> None:
    reference = {"artifact": "keras-fp32"}
    table = render(
        [
            measured("top1_correct", "accuracy", value=8719, n=10_000, **reference),
            parity(1.25),
            measured("output_error_image", "parity", value=2.5, limit=10.0),
            measured("top1_correct", "accuracy", value=8727, n=10_000),
            measured("top1_change", "accuracy", value=0.08, interval=(-0.11, 0.27)),
            measured("latency_batch_1", "latency", value=0.000412, unit="s"),
            measured(
                "latency_ratio_batch_1", "latency", "undecided", value=1.18, interval=(1.1, 1.26)
            ),
            measured("memory", "latency", value=13.2, unit="MB"),
            measured("layer_scales", "quantization", "skipped", reason="no ranges were kept"),
        ],
        {"keras-fp32": 380_112, "onnx-int8": 98_123},
    )
    assert table.splitlines() == [
        "artifact    parity, x noise  top-1, change in points                    "
        "latency ms, speed-up                size, KB  memory, MB  verdict",
        "-" * 146,
        "keras-fp32          -        8719/10000 = 87.19 %                           "
        "-                               380.1      -          pass",
        "onnx-int8   2.50 / 10        8727/10000 = 87.27 % +0.08 [-0.11, +0.27]  "
        "0.412 1.18x [1.10, 1.26] undecided   98.1     13          pass (1 skipped)",
        "",
        "skipped 1: no ranges were kept",
        "",
        "7 passed, 0 failed, 1 undecided, 1 skipped",
    ]


def test_nothing_measured_gives_a_header_and_counts() -> None:
    header, rule, empty, last = lines()
    assert header.split()[0] == "artifact"
    assert set(rule) == {"-"}
    assert empty == ""
    assert last == "0 passed, 0 failed, 0 undecided, 0 skipped"


def test_of_two_subjects_every_row_names_its_own() -> None:
    table = render([parity(1.0), parity(99.0, "fail", subject="theirs")], {})
    mine, theirs = table.splitlines()[2:4]
    assert mine.startswith("onnx-int8 (mine)")
    assert mine.endswith("pass")
    assert theirs.startswith("onnx-int8 (theirs)")
    assert theirs.endswith("fail")


def test_at_most_twelve_explanations_follow_with_failures_first() -> None:
    found = [measured(f"open_{i}", "parity", "undecided") for i in range(10)]
    found += [measured(f"wrong_{i}", "parity", "fail") for i in range(5)]
    explained = lines(*found)[4:-2]
    assert explained[:5] == [f"fail: onnx-int8 on mine: wrong_{i}" for i in range(5)]
    assert explained[5:12] == [f"undecided: onnx-int8 on mine: open_{i}" for i in range(7)]
    assert explained[12:] == ["… and 3 more"]


def test_open_latency_is_not_explained() -> None:
    table = render([parity(1.0), measured("latency_ratio_batch_1", "latency", "undecided")], {})
    assert "undecided:" not in table
    assert table.endswith("1 passed, 0 failed, 1 undecided, 0 skipped")


def test_skips_are_grouped_by_reason() -> None:
    reasons = ["no data", "no baseline", "no data", ""]
    found = [measured("any", "parity", "skipped", reason=reason) for reason in reasons]
    assert lines(*found)[4:7] == [
        "skipped 2: no data",
        "skipped 1: no baseline",
        "skipped 1: no reason given",
    ]


def test_kept_predictions_are_named() -> None:
    kept = "predictions kept from an earlier run: onnx-int8"
    assert kept in lines(parity(1.0, cached=True), parity(1.0, cached=True))
    assert kept not in lines(parity(1.0))


def test_hostile_names_break_no_line_and_send_no_escape() -> None:
    table = render([parity(1.0, "fail", artifact="a\x1b[2J\nb", reason="first\r\nsecond")], {})
    assert "\x1b" not in table
    assert "\r" not in table
    assert table.splitlines()[2].startswith("a [2J b")
    assert table.splitlines()[4].endswith("first second")


def test_the_last_line_is_the_exit_code_in_words() -> None:
    table = render([parity(1.0, "fail")], {}, Outcome(1, "converted\x1b wrongly"))
    assert table.splitlines()[-2:] == [
        "0 passed, 1 failed, 0 undecided, 0 skipped",
        "exit 1: converted wrongly",
    ]


def test_what_was_not_made_is_named_with_its_reason() -> None:
    unmade = [
        measured("built", "structure", "skipped", artifact=name, reason=reason)
        for name, reason in (("a", "no data"), ("b", "no converter"), ("c", "no data"))
    ]
    notes = [line for line in lines(*unmade) if line.startswith("skipped: ")]
    assert notes == ["skipped: a, c: no data", "skipped: b: no converter"]


def test_what_int8_costs_is_not_called_a_failure() -> None:
    dear = measured("top1_non_inferiority", "quantization", "fail", concerns=Concern.COST)
    assert lines(dear)[2].endswith("costs too much")
    assert lines(dear, parity(99.0, "fail"))[2].endswith("fail")


@given(st.lists(MEASUREMENTS, max_size=8))
def test_no_row_says_pass_where_a_measurement_failed(measurements: list[Measurement]) -> None:
    table = render(measurements, {}).splitlines()
    start = table[0].index("verdict")
    said = {line[0]: line[start:].split()[0] for line in table[2:] if line[:2] in ("a ", "b ")}
    assert set(said) == {m.artifact for m in measurements}
    for artifact, word in said.items():
        own = [m for m in measurements if m.artifact == artifact]
        verdicts = {m.verdict for m in own}
        undecided = any(
            m.verdict == "undecided" and m.concerns in ("conversion", "cost") for m in own
        )
        assert (word in ("fail", "costs", "too", "prepared")) == (Verdict.FAIL in verdicts)
        assert word != "pass" or (Verdict.PASS in verdicts and not undecided)
        assert (word == "skipped") == (verdicts == {Verdict.SKIPPED})
