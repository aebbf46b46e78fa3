"""A whole search on the embedded subject: held out, within its budget, judged, and gone on with."""

import json
import time

import pytest

from conversion.api import search
from conversion.core.errors import UserError
from conversion.proof.search.search import Choice

DEFAULT = "uint8-int7-channel-qoperator-minmax, 1000 images"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search that has time for one candidate only."""
    out = tmp_path_factory.mktemp("searched")
    return out, search("embedded", out=out, choice=Choice(budget=1.0))


@pytest.mark.slow
def test_a_budget_that_is_too_short_gives_the_best_so_far_and_says_so(searched):
    _, found = searched
    assert [row.label for row in found.found.rows] == [DEFAULT]
    assert found.document["stopped"] == "the budget of 1 s is spent"
    assert "--resume goes on from here" in found.table


@pytest.mark.slow
def test_what_is_recommended_is_judged_like_any_other(searched):
    out, found = searched
    assert found.document["recommended"] == DEFAULT
    names = {measurement.name for measurement in found.measurements}
    assert {"top1_correct", "top1_non_inferiority", "quantized_weights", "memory"} <= names
    assert {measurement.artifact for measurement in found.measurements} == {"onnx-int8"}
    assert (out / "artifacts" / "onnx-int8.onnx").is_file()
    assert json.loads((out / "search.json").read_text())["rows"][0]["label"] == DEFAULT
    assert (out / "report.html").is_file()


@pytest.mark.slow
def test_every_row_was_measured_on_this_machine_in_five_processes(searched):
    (row,) = searched[1].found.rows
    assert len(row.record["machine"]) == 64
    assert row.images == 4000
    assert all(speed.low <= speed.ratio <= speed.high for speed in row.speed.values())


@pytest.mark.slow
def test_another_search_is_not_gone_on_with(searched):
    out, _ = searched
    record = (out / "search.jsonl").read_text()
    (out / "search.jsonl").write_text(record.replace('"machine": "', '"machine": "0', 1))
    with pytest.raises(UserError, match="of another one"):
        search("embedded", out=out, choice=Choice(budget=1.0, resume=True))
    (out / "search.jsonl").write_text(record)


@pytest.mark.slow
def test_a_ban_on_everything_is_refused_in_a_sentence(tmp_path, one_process):
    with pytest.raises(UserError, match="bans all of them"):
        search("embedded", out=tmp_path, choice=Choice(budget=1.0, banned=("int",)))


@pytest.mark.slow
def test_without_its_winner_the_search_goes_on_to_the_next(searched):
    out, found = searched
    before = len((out / "search.jsonl").read_text().splitlines())
    choice = Choice(budget=150.0, resume=True, banned=(found.document["recommended"],))
    start = time.monotonic()
    again = search("embedded", out=out, choice=choice)
    assert time.monotonic() - start < 200
    assert again.document["recommended"] not in (None, DEFAULT)
    assert DEFAULT not in [row.label for row in again.found.rows]
    assert len((out / "search.jsonl").read_text().splitlines()) > before
