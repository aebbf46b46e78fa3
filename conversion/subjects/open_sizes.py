"""Sizes for the axes of an input that a model leaves open, where no data states them."""

from __future__ import annotations

from itertools import cycle

from conversion.core.errors import UserError
from conversion.core.spec import Shape, Spec
from conversion.readers.shapes import shapes_of

SIZES, OTHER_SIZES = (32, 48), (48, 80)
"""Height and width, and others: neither is square, and both are small, as models that take any size
are mostly convolutions whose maps are as large as the image."""

FACTORS = (1, 2, 4, 8)
"""Multiples that are tried until every window fits."""


def is_open(spec: Spec) -> bool:
    """Whether a model leaves a size of an input open."""
    return any(None in spec.layer(name).shape for name in spec.inputs)


def filled(spec: Spec, other: bool = False) -> dict[str, tuple[int, ...]]:
    """Input name to its shape, with a size for every axis that is left open.

    Args:
        spec: the model.
        other: whether the second pair of sizes is taken.

    Raises:
        UserError: no sizes fit its layers.
    """
    sizes = OTHER_SIZES if other else SIZES
    said = ""
    for factor in FACTORS:
        pair = [factor * size for size in sizes]
        found = {name: _with(spec.layer(name).shape, pair) for name in spec.inputs}
        if not is_open(spec):
            return found
        try:
            shapes_of(spec, found)
            return found
        except UserError as error:
            said = str(error)
    raise UserError(
        f"Expected a model that takes images of {sizes[0]} x {sizes[1]} pixels or a multiple of "
        f"that, as it leaves the size open; {said} Pass --input-shape H,W,C, or --data with images "
        "of the size that you use."
    )


def words(spec: Spec, has_data: bool) -> list[str]:
    """What a run says of sizes that a model leaves open; nothing where it leaves none.

    Args:
        spec: the model.
        has_data: whether there are images, of which a size is taken.
    """
    if not is_open(spec):
        return []
    first = "that of the data" if has_data else _listed(filled(spec))
    return [
        f"the model leaves sizes of its input open, and so do its files: judged at {first} and at "
        f"{_listed(filled(spec, other=True))}; --input-shape fixes one"
    ]


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return " and ".join(" x ".join(map(str, shape)) for shape in shapes.values())


def _with(shape: Shape, sizes: list[int]) -> tuple[int, ...]:
    taken = cycle(sizes)
    return tuple(next(taken) if size is None else size for size in shape)
