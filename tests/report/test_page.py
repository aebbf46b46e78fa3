"""The HTML page: everything is on it, nothing is fetched, nothing hostile gets through."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.report import as_document, write, write_page

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 777 * 777 }}"
VOID = {"meta", "img", "br", "link", "input"}


class Tags(HTMLParser):
    """The tags of a page and their attributes, and whether every one is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def measured(topic: str, verdict: str, **fields: Any) -> Measurement:
    """A measurement of ``onnx-fp32`` on ``mine`` unless the fields say otherwise."""
    concerns = Concern.SPEED if topic == "latency" else Concern.CONVERSION
    named = {"name": "m", "subject": "mine", "artifact": "onnx-fp32", "concerns": concerns}
    fields = named | fields
    return Measurement(topic=topic, verdict=Verdict(verdict), **fields)


def page(folder: Path, *measurements: Measurement, **extra: Any) -> str:
    """The page of measurements, as text."""
    document = as_document(measurements, {"python": "3.11"}, extra)
    return write_page(document, folder).read_text(encoding="utf-8")


def headline(content: str) -> str:
    """The class of the page's header, which gives it its colour."""
    found = re.search(r'<header class="(\w*)">', content)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("results", "expected", "word"),
    [
        ([], "skipped", "skipped"),
        ([("parity", "skipped")], "skipped", "skipped"),
        ([("parity", "pass")], "pass", "pass"),
        ([("parity", "pass"), ("latency", "undecided")], "pass", "pass"),
        ([("parity", "pass"), ("parity", "undecided")], "undecided", "undecided"),
        ([("parity", "pass"), ("accuracy", "undecided")], "undecided", "undecided"),
        ([("latency", "undecided")], "undecided", "undecided"),
        ([("parity", "fail"), ("latency", "fail")], "fail", "fail"),
        ([("parity", "pass"), ("latency", "fail")], "fail", "too slow"),
    ],
)
def test_the_headline_is_the_overall_verdict(
    results: list[tuple[str, str]], expected: str, word: str, tmp_path: Path
) -> None:
    content = page(tmp_path, *(measured(topic, verdict) for topic, verdict in results))
    assert headline(content) == expected
    assert f'<h1><span class="verdict {expected}">{word}</span>' in content
    assert f"<title>{word}: " in content


def test_the_exit_code_stands_on_the_page_in_words(tmp_path: Path) -> None:
    outcome = {"code": 3, "words": "int8 costs <more> than allowed"}
    content = page(tmp_path, measured("parity", "pass"), outcome=outcome)
    assert "<p>exit 3: int8 costs &lt;more&gt; than allowed</p>" in content
    assert "exit" not in page(tmp_path, measured("parity", "pass"))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["parity", "accuracy", "latency"]),
            st.sampled_from(["pass", "fail", "undecided", "skipped"]),
        ),
        max_size=6,
    )
)
def test_the_page_is_green_only_where_something_passed_and_nothing_is_open(
    tmp_path: Path, results: list[tuple[str, str]]
) -> None:
    content = page(tmp_path, *(measured(topic, verdict) for topic, verdict in results))
    verdicts = [verdict for _, verdict in results]
    left_open = any(v == "undecided" and topic != "latency" for topic, v in results)
    green = "pass" in verdicts and "fail" not in verdicts and not left_open
    assert (headline(content) == "pass") == green
    assert content.count('class="verdict fail"') == (
        verdicts.count("fail") + 2 * ("fail" in verdicts)
    )


def test_an_empty_report_says_that_nothing_was_checked(tmp_path: Path) -> None:
    assert "<p>Nothing was checked.</p>" in page(tmp_path)


def test_a_measurement_is_shown_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    content = page(
        tmp_path,
        measured(
            "accuracy",
            "fail",
            name="top1_change",
            layer="conv2d_3",
            value=-0.25,
            unit="points",
            relation=">=",
            limit=-0.5,
            interval=(-0.75, 0.25),
            n=10_000,
            seed=17,
            reason="the interval reaches below the margin",
            cached=True,
            digest="0123456789abcdef0123",
        ),
    )
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())
    assert (
        "onnx-fp32 top1_change layer conv2d_3 -0.25 points >= -0.5 [-0.75, 0.25] 10000 fail "
        "the interval reaches below the margin seed 17 predictions kept from an earlier run "
        "predictions' SHA-256 0123456789abcdef…"
    ) in text
    assert "What did not pass" in text


def test_rows_are_a_small_table_that_can_be_opened(tmp_path: Path) -> None:
    rows = ({"true": "cat", "cat": 9, "dog": 1}, {"true": "dog", "cat": 2})
    content = page(tmp_path, measured("accuracy", "pass", rows=rows))
    table = content[content.index("<details>") : content.index("</details>")]
    assert "<summary>2 rows</summary>" in table
    assert re.findall(r"<th [^>]*>([^<]*)", table) == ["true", "cat", "dog"]
    assert re.findall(r"<td[^>]*>([^<]*)", table) == ["cat", "9", "1", "dog", "2", "-"]


def test_a_list_in_a_row_has_a_column_for_each_item(tmp_path: Path) -> None:
    rows = ({"class": "cat", "predicted": [9, 1]}, {"class": "dog", "predicted": [0, 5]})
    content = page(tmp_path, measured("accuracy", "pass", rows=rows))
    table = content[content.index("<details>") : content.index("</details>")]
    assert re.findall(r"<th [^>]*>([^<]*)", table) == ["class", "predicted 0", "predicted 1"]
    assert re.findall(r"<td[^>]*>([^<]*)", table) == ["cat", "9", "1", "dog", "0", "5"]


def test_a_table_that_is_too_large_says_what_it_leaves_out(tmp_path: Path) -> None:
    rows = tuple({str(column): 0 for column in range(50)} for _ in range(203))
    content = page(tmp_path, measured("accuracy", "pass", rows=rows))
    assert "3 more rows and 10 more columns in report.json" in content
    assert content.count('<td class="number">0</td>') == 200 * 40


def test_artifacts_warnings_and_environment_are_on_the_page(tmp_path: Path) -> None:
    provenance = {"route": "tf2onnx", "settings": {"opset": 15}, "tried": ["a", "b"], "none": None}
    artifact = {"name": "onnx-fp32", "file": "a.onnx", "size": 321_578, "provenance": provenance}
    content = page(
        tmp_path, measured("parity", "pass"), artifacts=[artifact], warnings=["an old opset"]
    )
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())
    assert "onnx-fp32 name onnx-fp32 file a.onnx size 321578 provenance route tf2onnx" in text
    assert 'settings opset 15 tried ["a", "b"] none -' in text
    assert "Converter warnings an old opset Environment python 3.11" in text
    assert "321.6" in text


def test_the_data_and_its_preprocessing_are_on_the_page(tmp_path: Path) -> None:
    data = {"test": {"source": "mine.npz", "images": 40, "preprocessing": {"scale": 0.5}}}
    content = page(tmp_path, measured("parity", "pass"), data=data)
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())
    assert "Data test source mine.npz images 40 preprocessing scale 0.5" in text


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    hostile = measured(
        HOSTILE,
        "fail",
        name=HOSTILE,
        subject=HOSTILE,
        artifact=HOSTILE,
        layer=HOSTILE,
        unit=HOSTILE,
        value=1.0,
        digest=HOSTILE,
        reason=HOSTILE,
        rows=({HOSTILE: HOSTILE},),
    )
    skipped = measured("parity", "skipped", reason=HOSTILE)
    artifact = {"name": HOSTILE, "file": HOSTILE, "size": 1, "provenance": {HOSTILE: [HOSTILE]}}
    content = page(
        tmp_path, hostile, skipped, artifacts=[artifact], warnings=[HOSTILE, {HOSTILE: HOSTILE}]
    )
    tags = Tags(content)
    assert not {"script", "img"} & {tag for tag, _ in tags.found}
    assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)
    assert tags.open == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content
    assert "{{ 777 * 777 }}" in content
    assert "603729" not in content


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    content = page(tmp_path, measured("parity", "pass", rows=({"a": 1},)))
    tags = Tags(content)
    assert tags.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags.found}
    assert not any({"src", "href"} & set(attributes) for _, attributes in tags.found)
    assert "url(" not in content
    assert "@import" not in content
    assert "prefers-color-scheme: dark" in content


def test_the_page_of_the_stored_document_is_the_same(tmp_path: Path) -> None:
    measurements = [measured("parity", "fail", value=float("nan"), interval=(float("nan"), 1.0))]
    document = as_document(measurements, {"python": "3.11"}, {})
    direct = write_page(document, tmp_path).read_text(encoding="utf-8")
    stored = json.loads(write(document, tmp_path).read_text(encoding="utf-8"))
    assert write_page(stored, tmp_path).read_text(encoding="utf-8") == direct
    assert "value is nan, interval is nan: written as null" in direct
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "report.json"]
