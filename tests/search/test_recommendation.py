"""Which of the measured candidates is recommended, which are on the front, and what is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_rows import row

from conversion.proof.search.rows import front, recommend, remark


def taken(*rows):
    found = recommend(rows).row
    return None if found is None else found.label


def test_the_fastest_is_taken():
    assert taken(row("slow", 1.2), row("fast", 1.6), row("middle", 1.4)) == "fast"


def test_among_equally_fast_ones_the_least_noise_decides():
    assert taken(row("a", 1.50, sqnr=28.0), row("b", 1.49, sqnr=31.0)) == "b"


def test_one_that_is_really_slower_is_not_taken_for_its_faithfulness():
    assert taken(row("a", 1.50, sqnr=28.0), row("b", 1.40, sqnr=60.0)) == "a"


def test_one_that_keeps_clearly_fewer_answers_is_not_taken_for_its_sqnr():
    assert taken(row("a", agreed=995, sqnr=28.0), row("b", agreed=980, sqnr=31.0)) == "a"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"speed": 0.8}, "slower than float32 at batch 1: 0.80x [0.79, 0.81]"),
        ({"interval": (-2.0, -0.8), "change": -1.4}, "loses 0.80 points of top-1 or more"),
        ({"agreed": 950}, "gives float32's answer to 95.0 % only"),
        ({"overflow": "without VNNI 8.5 % of the answers change"}, "without VNNI 8.5 %"),
    ],
    ids=["slow", "wrong", "unfaithful", "wrong elsewhere"],
)
def test_what_is_slower_or_loses_too_much_is_never_taken(fields, words):
    fields = {"speed": 1.9, **fields}
    bad = row("bad", **fields)
    assert taken(bad) is None
    assert taken(bad, row("good", 1.1)) == "good"
    assert words in remark(bad, row("good", 1.1))


def test_where_nothing_is_allowed_float32_is_kept():
    found = recommend([row("a", 0.7)])
    assert found.row is None
    assert found.reason.startswith("keep float32")


@pytest.mark.parametrize(
    "fields",
    [{"speed": 1.0, "reach": 0.03}, {"interval": (-0.9, 0.3)}],
    ids=["not shown to be faster", "not shown to be as accurate"],
)
def test_what_is_not_proved_comes_after_what_is(fields):
    unproved = row("unproved", **{"speed": 1.9, "sqnr": 60.0, **fields})
    assert taken(unproved, row("proved", 1.1)) == "proved"
    found = recommend([unproved])
    assert found.row is unproved
    assert "; but not shown to" in found.reason


def test_without_labels_the_answers_that_are_kept_decide():
    assert taken(row("a", change=None, interval=None)) == "a"
    assert taken(row("a", change=None, interval=None, agreed=900)) is None


def test_the_reason_has_the_intervals_and_the_count_of_images():
    reason = recommend([row("a")]).reason
    assert "1.50x [1.49, 1.51] at batch 1" in reason
    assert "99.00 % of 1000 images" in reason
    assert "top-1 -0.10 point [-0.40, +0.20]" in reason


def test_a_slow_scheme_is_said_to_be_slow_where_it_spends_its_time():
    slow = row("uint8", 0.8, operators={"QLinearConv": 230.0, "QLinearAdd": 9.0})
    said = remark(slow, row("int8", operators={"QLinearConv": 90.0}))
    assert "its QLinearConv nodes take 230 us, 90 us in the recommended one" in said


def test_the_front_has_what_nothing_beats_in_answers_speed_and_size():
    rows = [
        row("fast", 1.8, agreed=980, size=100),
        row("faithful", 1.4, agreed=999, size=100),
        row("small", 1.4, agreed=980, size=50),
        row("beaten", 1.3, agreed=979, size=120),
        row("forbidden", 0.5, agreed=1000, size=10),
    ]
    assert [each.label for each in front(rows)] == ["fast", "faithful", "small"]


ROWS = st.lists(
    st.builds(
        lambda name, speed, agreed, size: row(name, speed, agreed=agreed, size=size),
        name=st.uuids().map(str),
        speed=st.floats(0.5, 3.0),
        agreed=st.integers(940, 1000),
        size=st.integers(1, 5),
    ),
    max_size=8,
    unique_by=lambda each: each.label,
)


@given(rows=ROWS)
def test_what_is_recommended_is_allowed_and_no_allowed_one_is_faster_beyond_doubt(rows):
    found = recommend(rows).row
    allowed = [each for each in rows if not each.against]
    assert (found is None) == (not allowed)
    if found is not None and not found.unproved:
        proved = [each for each in allowed if not each.unproved]
        assert all(each.speed[1].low <= found.speed[1].high * 1.03 for each in proved)


@given(rows=ROWS)
def test_every_allowed_row_off_the_front_is_beaten_by_one_on_it(rows):
    best = front(rows)
    for each in rows:
        if each.against or each in best:
            continue
        assert any(
            other.agreed >= each.agreed
            and other.speed[1].ratio >= each.speed[1].ratio
            and other.size <= each.size
            for other in best
        )
