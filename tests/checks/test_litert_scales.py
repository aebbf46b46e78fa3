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


def test_what_is_pooled_for_a_choice_and_for_another_has_the_range_of_both():
    """Pooled values read by a sum and by a maximum: LiteRT gives all of them the maximum's scale.

    The ends of a scale that is wider than what a layer gives are no fault, those of a narrower one
    cut off what the sum reads.
    """
    tensors = (
        Computed("x", "", ()),
        Computed("scaled", "mul", ("x",)),
        Computed("pooled", "max_pool_2d", ("scaled",)),
        Computed("summed", "conv_2d", ("pooled",)),
        Computed("chosen", "maximum", ("summed", "pooled")),
    )
    places = {name: (name, False) for name in ("scaled", "pooled", "summed", "chosen")}
    kept, also = tied(Network(tensors, ("x",), ("chosen",)), places, dict.fromkeys(places, 8))
    assert {name: kept[name] for name in ("scaled", "pooled")} == {
        name: (name, False) for name in ("scaled", "pooled")
    }
    assert kept["summed"] == ("chosen", False)
    assert {also[name] for name in ("scaled", "pooled", "summed")} == {"chosen"}


@pytest.mark.parametrize(("pooling", "own"), [("max_pool_2d", False), ("average_pool_2d", True)])
def test_what_is_only_pooled_and_concatenated_may_lose_its_lowest_values(pooling, own):
    """As of an adaptive pooling; a mean of values that were cut off is another."""
    tensors = (
        Computed("x", "", ()),
        Computed("summed", "conv_2d", ("x",)),
        Computed("one", pooling, ("summed",)),
        Computed("other", pooling, ("summed",)),
        Computed("whole", "concatenation", ("one", "other")),
    )
    places = {"summed": ("conv", False), "whole": ("pooled", False)}
    kept, _ = tied(Network(tensors, ("x",), ("whole",)), places, {"conv": 8, "pooled": 8})
    assert ("summed" in kept) is own
