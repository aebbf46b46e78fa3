"""Refuses what Keras itself forgets when it opens a legacy `.h5` file."""

from __future__ import annotations

from collections.abc import Iterable

from conversion.core.errors import UserError
from conversion.core.spec import Layer


def refuse_forgotten_axes(layers: Iterable[Layer]) -> None:
    """Refuse layers that work along several axes.

    Keras 3.15 reads a list of axes from a `.h5` file only where it holds a single one, and takes
    -1 without a word otherwise (`model_from_config` in its `legacy/saving/saving_utils.py`): the
    reference would be another model than the file describes.

    Args:
        layers: as a legacy file describes them.

    Raises:
        UserError: there is such a layer.
    """
    for layer in layers:
        axis = layer.config.get("axis", -1)
        listed = isinstance(axis, list | tuple) and len(axis) != 1
        if listed and (axis or layer.weights):
            raise UserError(
                f"Layer '{layer.name}' ({layer.kind}) has axis={list(axis)}; Keras 3 forgets a "
                "list of axes when it opens a .h5 file: save the model as .keras."
            )
