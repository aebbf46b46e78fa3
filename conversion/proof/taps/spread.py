"""A layer that a file computes by several operations, such as ``x * sigmoid(x)``: where it ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from conversion.proof.taps.graph import Graph, Operation

CLOSED_TO = ("conv", "dense", "concat", "max_pool", "average_pool")
"""Kinds that are never part of such a layer."""


def spread(
    graph: Graph, source: str, ways: Sequence[Sequence[str]], taken: Collection[str]
) -> list[Operation]:
    """The operations of a layer that is computed from one tensor alone.

    The last one is the first of its kind that nothing goes around: whatever is computed from the
    tensor beside it does not meet again what is computed from it.

    Args:
        graph: the file's network.
        source: the tensor that the layer reads.
        ways: kinds of the operations, one after another, that nothing goes around, the layer's last
            one being the last; of several ways the one with most, then the one that ends first;
            without any, whatever nothing goes around last.
        taken: what belongs to other layers, by what it writes.

    Returns:
        Those that compute, in the graph's order; empty where there is no such last one.
    """
    inside = _computed_from(graph, source, taken)
    narrow = [o for o in inside if not o.moves and _is_narrow(inside, source, o)]
    found = [(-len(way), last) for way in ways if (last := _last(narrow, way)) is not None]
    if not ways:  # but for a padding, which belongs to what follows
        found = [(0, i) for i, o in enumerate(narrow) if o.kind != "pad"][-1:]
    if not found:
        return []
    return [o for o in _leading_to(inside, narrow[min(found)[1]]) if not o.moves]


def _is_narrow(inside: list[Operation], source: str, last: Operation) -> bool:
    """Whether nothing goes around an operation."""
    after = _following(inside, last)
    around = {source, *(o.writes for o in inside)} - after
    joins = (o for o in inside if o.writes in after and o is not last)
    return not any(name in around for operation in joins for name in operation.reads)


def _last(narrow: list[Operation], way: Sequence[str]) -> int | None:
    """The position at which the kinds of a way have all been passed, in their order."""
    left = list(way)
    for index, operation in enumerate(narrow):
        if operation.kind == left[0]:
            left.pop(0)
        if not left:
            return index
    return None


def _computed_from(graph: Graph, source: str, taken: Collection[str]) -> list[Operation]:
    """What is computed from a tensor and from nothing else."""
    known, found = {source}, []
    for operation in graph.operations:
        free = operation.writes not in taken and operation.kind not in CLOSED_TO
        if free and operation.reads and known.issuperset(operation.reads):
            known.add(operation.writes)
            found.append(operation)
    return found


def _following(inside: list[Operation], first: Operation) -> set[str]:
    """What is computed from an operation's tensor, and that tensor."""
    after = {first.writes}
    for operation in inside:
        if after.intersection(operation.reads):
            after.add(operation.writes)
    return after


def _leading_to(inside: list[Operation], last: Operation) -> list[Operation]:
    needed, found = {*last.reads}, [last]
    for operation in reversed(inside[: inside.index(last)]):
        if operation.writes in needed:
            needed.update(operation.reads)
            found.insert(0, operation)
    return found
