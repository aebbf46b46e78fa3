"""Axes as Keras counts them, with the batch as axis 0, in shapes without the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conversion.core.errors import UserError
from conversion.core.spec import Shape


def axes_of(setting: Any, shape: Shape) -> list[int]:
    """The axes that a setting names, as positions in a shape without the batch.

    Args:
        setting: one axis or a list of them, the batch being 0, the last -1.
        shape: without the batch axis.

    Returns:
        The positions in the setting's order.

    Raises:
        UserError: an axis is the batch, is not there, or is named twice.
    """
    listed: Sequence[int] = setting if isinstance(setting, list | tuple) else [setting]
    rank = len(shape)
    found = [axis - 1 if axis > 0 else axis + rank for axis in listed]
    if not all(0 <= axis < rank for axis in found) or 0 in listed or len({*found}) < len(found):
        raise UserError(f"axis {setting} is not supported for an input of shape {shape}.")
    return found
