"""Images and labels that a caller of the Python functions hands over as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.errors import UserError

Data = str | Path | np.ndarray | tuple[Any, ...] | Mapping[str, Any]
"""A path; images ``x``; ``(x, y)``; ``((x_train, y_train), (x_test, y_test))``; or by name."""


def path_or_arrays(given: Data) -> Path | dict[str, np.ndarray]:
    """A path as it is, and arrays under the names that they would have in an `.npz` file.

    Args:
        given: a path; images ``(N, ...)``; a tuple ``(x, y)``, or two of them as
            `keras.datasets` returns them; a mapping with x_train, y_train, x_test, y_test, or with
            x and y. Labels that are None are left out.

    Raises:
        UserError: a tuple has other parts, or something is no array of numbers.
    """
    if isinstance(given, str | Path):
        return Path(given)
    named = _by_name(given)
    arrays = {name: _array(named, name) for name in named}
    return {name: array for name, array in arrays.items() if array is not None}


def _by_name(given: Any) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    if not isinstance(given, tuple):
        return {"x": given}
    if len(given) != 2:
        raise UserError(
            f"Expected data as (x, y) or ((x_train, y_train), (x_test, y_test)); got a tuple of "
            f"{len(given)}."
        )
    if all(isinstance(part, tuple) and len(part) == 2 for part in given):
        (x_train, y_train), (x_test, y_test) = given
        return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    return {"x": given[0], "y": given[1]}


def _array(named: Mapping[str, Any], name: str) -> np.ndarray | None:
    value = None
    try:
        value = named[name]
        array = np.asarray(value)
    except Exception as error:  # whatever the object's own conversion raises
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"Expected {name} as an array of numbers; got {type(value).__name__} ({reason})."
        ) from None
    if value is None:
        return None
    if array.dtype.kind == "O":
        raise UserError(
            f"Expected {name} as an array of numbers; got {type(value).__name__}: gather it into "
            "one numpy array, or pass the path of a file that yields it (docs/data.md)."
        )
    return array
