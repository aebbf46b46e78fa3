"""A user's own layers in a Python file: what each of the four independent parts must know.

    LAYERS = {"Doubled": CustomLayer(keras=..., rule=LayerRule(...), truth=..., torch=...)}

`docs/custom.md` is the guide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conversion.core.custom_layers import Custom
from conversion.core.custom_layers import CustomLayer as CustomLayer
from conversion.core.errors import UserError
from conversion.core.layer_rule import LayerRule as LayerRule
from conversion.core.user_code import execute, user_files
from conversion.readers.replacing import replacement
from conversion.readers.schema import LAYERS


def load(paths: Sequence[str | Path], replace: Sequence[str] = ()) -> Custom:
    """Execute a user's files and gather their layers.

    A file that imports Keras at its top is left to the process that runs Keras.

    Args:
        paths: Python files that the user named.
        replace: layers to put in place of others, as `--replace` has them.

    Raises:
        UserError: a file cannot be executed, or names a layer that is known already; what is to
            be replaced is said twice, or not as a layer of Keras, or of a file, with its settings.
    """
    files = user_files(paths)
    layers: dict[str, CustomLayer] = {}
    for file in files:
        if file.is_for_keras:
            continue
        name = file.path.name
        found = vars(execute(file)).get("LAYERS", {} if file.builds else None)
        for kind, layer in _layers(name, found).items():
            if kind in LAYERS or kind in layers:
                raise UserError(f"{name} has a layer '{kind}', which is known already.")
            layers[kind] = layer
    placed = [replacement(text, layers) for text in replace]
    for name, count in Counter(name for name, _ in placed).items():
        if count > 1:
            raise UserError(f"Expected one --replace of '{name}'; got {count}: leave one of them.")
    return Custom(files, layers, dict(placed))


def _layers(name: str, found: Any) -> dict[str, CustomLayer]:
    listed = found if isinstance(found, Mapping) else {"": found}
    layers = {kind: each for kind, each in listed.items() if isinstance(each, CustomLayer)}
    if len(layers) != len(listed):
        raise UserError(
            f"Expected {name} to have LAYERS, class names to CustomLayer (docs/custom.md); it has "
            f"{type(found).__name__}. A file with Keras classes alone imports keras at its top."
        )
    return layers
