"""The record of a search: what is kept, what goes on, and what is refused."""

import pytest
from search_rows import row

from conversion.core.errors import UserError
from conversion.proof.search.record import NAME, Record

IDENTITY = {"model": "a" * 64, "machine": "b" * 64}


def test_a_search_that_goes_on_has_every_row_that_was_measured(tmp_path):
    first = Record(tmp_path, IDENTITY, resume=False)
    for label in ("one", "two"):
        first.add(row(label))
    assert Record(tmp_path, IDENTITY, resume=True).rows == {"one": row("one"), "two": row("two")}


def test_rows_are_added_behind_those_that_were_there(tmp_path):
    Record(tmp_path, IDENTITY, resume=False).add(row("one"))
    Record(tmp_path, IDENTITY, resume=True).add(row("two"))
    assert list(Record(tmp_path, IDENTITY, resume=True).rows) == ["one", "two"]


def test_a_search_that_begins_again_has_none(tmp_path):
    Record(tmp_path, IDENTITY, resume=False).add(row("one"))
    assert Record(tmp_path, IDENTITY, resume=False).rows == {}


def test_a_line_that_was_being_written_when_it_was_killed_is_measured_again(tmp_path):
    record = Record(tmp_path, IDENTITY, resume=False)
    record.add(row("one"))
    record.add(row("two"))
    whole = (tmp_path / NAME).read_text()
    (tmp_path / NAME).write_text(whole[:-40])
    found = Record(tmp_path, IDENTITY, resume=True)
    assert list(found.rows) == ["one"]
    found.add(row("two"))
    assert (tmp_path / NAME).read_text() == whole


@pytest.mark.parametrize("key", list(IDENTITY))
def test_the_record_of_another_search_is_refused_and_says_what_differs(tmp_path, key):
    Record(tmp_path, {**IDENTITY, key: "c" * 64}, resume=False)
    with pytest.raises(UserError, match=rf"it is of another one \(its {key}\): leave out --resume"):
        Record(tmp_path, IDENTITY, resume=True)


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_what_is_no_record_is_refused(tmp_path, content):
    (tmp_path / NAME).write_text(content)
    with pytest.raises(UserError, match="leave out --resume"):
        Record(tmp_path, IDENTITY, resume=True)


def test_there_must_be_something_to_go_on_with(tmp_path):
    with pytest.raises(UserError, match="there is none: leave out --resume"):
        Record(tmp_path, IDENTITY, resume=True)
