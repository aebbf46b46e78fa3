"""Arrays in HDF5, checked before they are trusted: links, shape, type, size, values."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from conversion.core.errors import UserError
from conversion.core.spec import Shape

MOST_COMPRESSED = 1100
"""No filter of HDF5 and no zip packs more bytes into one: deflate's limit is 1,032."""


def behind_hard_links(group: h5py.Group, path: str) -> Any:
    """What lies at a path; None where a part is missing or is a soft or external link."""
    found: Any = group
    for part in path.encode().split(b"/"):
        links = found.id.links if isinstance(found, h5py.Group) else None
        if links is None or not part or not links.exists(part):
            return None
        if links.get_info(part).type != h5py.h5l.TYPE_HARD:
            return None
        found = found[part]
    return found


def checked(group: h5py.Group, path: str, where: str, shape: Shape) -> np.ndarray:
    """A weight as float32.

    Args:
        group: where it is looked for.
        path: its place there.
        where: what to call it in an error; ends with its role.
        shape: the shape that it must have.

    Raises:
        UserError: it is missing, behind a link, of another shape or type, not finite, or a negative
            variance.
    """
    dataset = behind_hard_links(group, path)
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise UserError(f"{where} is missing from the file (or lies behind a link).")
    if dataset.shape != shape:  # before reading: a false shape may ask for terabytes
        raise UserError(f"{where} should have the shape {shape}; the file has {dataset.shape}.")
    if dataset.dtype.kind != "f":  # float16, of a model of that policy, is exact in float32
        raise UserError(f"{where} should be float32; the file has {dataset.dtype}.")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > MOST_COMPRESSED * stored:
        raise UserError(
            f"{where} should hold {dataset.nbytes} bytes; the file has {stored} for it."
        )
    with np.errstate(over="ignore"):  # what overflows is Inf, and that is refused by name
        array = np.asarray(dataset[()], dtype=np.float32)
    if not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise UserError(f"{where} should be finite; {bad} of {array.size} are NaN or Inf.")
    if where.rstrip("'").endswith("variance") and (array < 0).any():
        raise UserError(f"{where} should not be negative; its least value is {array.min()}.")
    return array
