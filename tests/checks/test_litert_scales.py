"""Which tensors of a LiteRT int8 file must hold a range of their own."""

import pytest

from conversion.proof.checks.int8.litert_scales import tied
from conversion.proof.taps.network import Computed, Network


def network(*more):
    """A dense layer whose activation chooses between what it reads and 0."""
    tensors = (
        Computed("x", "", ()),
        Computed("sum", "fully_connected", ("x",)),
        Computed("above", "greater", ("sum",)),
        Computed("chosen", "select_v2", ("above", "sum")),
        *more,
    )
    return Network(tensors, ("x",), (tensors[-1].name,))


@pytest.mark.parametrize(
    ("more", "own"),
    [
        ((), False),
        ((Computed("below", "mul", ("sum",)), Computed("y", "sub", ("chosen", "below"))), True),
    ],
    ids=["read by the choice alone", "computed with as well"],
)
def test_what_a_choice_reads_must_hold_its_own_range_where_something_computes_with_it(more, own):
    """The choice has one scale for what it reads and gives, which cuts off the rest of the sum."""
    end = more[-1].name if more else "chosen"
    places = {"sum": ("dense", True), end: ("dense", False)}
    kept, _ = tied(network(*more), places, {"dense": 8})
    assert (kept.get("sum") == ("dense", True)) is own
