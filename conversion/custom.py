"""Layers that a user brings in a Python file: what each of the four independent parts must know.

    LAYERS = {"Doubled": CustomLayer(keras=..., rule=LayerRule(...), truth=..., torch=...)}

`docs/custom.md` is the guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.custom_layers import CURRENT, Custom
from conversion.core.custom_layers import CustomLayer as CustomLayer
from conversion.core.custom_layers import current as current
from conversion.core.errors import NoTruth, UserError
from conversion.core.layer_rule import LayerRule as LayerRule
from conversion.core.layer_rule import no_weights
from conversion.core.spec import Layer
from conversion.core.user_code import execute, user_files
from conversion.proof import truth
from conversion.readers import code_guard, schema


def load(paths: Sequence[str | Path]) -> Custom:
    """Execute a user's files and gather their layers.

    A file that imports Keras at its top is left to the process that runs Keras.

    Args:
        paths: Python files that the user named.

    Raises:
        UserError: a file cannot be executed, or names a layer that is known already.
    """
    files = user_files(paths)
    layers: dict[str, CustomLayer] = {}
    for file in files:
        if file.is_for_keras:
            continue
        name = file.path.name
        for kind, layer in _layers(name, vars(execute(file)).get("LAYERS")).items():
            if kind in schema.LAYERS or kind in layers:
                raise UserError(f"{name} brings a layer '{kind}', which is known already.")
            layers[kind] = layer
    return Custom(files, layers)


def _layers(name: str, found: Any) -> dict[str, CustomLayer]:
    listed = found if isinstance(found, Mapping) else {"": found}
    layers = {kind: each for kind, each in listed.items() if isinstance(each, CustomLayer)}
    if len(layers) != len(listed):
        raise UserError(
            f"Expected {name} to have LAYERS, class names to CustomLayer (docs/custom.md); it has "
            f"{type(found).__name__}. A file with Keras classes alone imports keras at its top."
        )
    return layers


@contextmanager
def brought(custom: Custom) -> Iterator[Custom]:
    """Make a user's layers known to the reader and the truth, until the end of the block."""
    token = CURRENT.set(custom)
    try:
        for kind, layer in custom.layers.items():
            alone = layer.truth is None and layer.torch is None and layer.rule.weights is no_weights
            schema.LAYERS[kind] = replace(layer.rule, unread=alone)
            truth.LAYERS[kind] = _exact(kind, layer)
            code_guard.BROUGHT.add(kind)
        yield custom
    finally:
        for kind in custom.layers:
            schema.LAYERS.pop(kind, None)
            truth.LAYERS.pop(kind, None)
            code_guard.BROUGHT.discard(kind)
        CURRENT.reset(token)


def _exact(kind: str, brings: CustomLayer) -> Callable[..., np.ndarray]:
    """The user's function as the truth calls its own."""

    def compute(layer: Layer, *values: np.ndarray) -> np.ndarray:
        if brings.truth is None:
            raise NoTruth(
                f"layer '{layer.name}' is a {kind}, for which the --custom file brings no truth: "
                "parity cannot be judged"
            )
        weights = {role: array.astype(np.float64) for role, array in layer.weights.items()}
        found = np.asarray(brings.truth(layer.config, weights, *values), dtype=np.float64)
        stated = (len(values[0]), *layer.shape)
        if len(found.shape) != len(stated) or any(
            size not in (None, given) for given, size in zip(found.shape, stated, strict=True)
        ):
            raise UserError(
                f"Expected the truth of {kind} to give '{layer.name}' as {stated}, which is the "
                f"shape by its rule; it gives {found.shape}."
            )
        return found

    return compute
