"""What a description meant in the Keras that wrote it, where today's would read it otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conversion.readers.keras_1 import in_words_of_keras_2, is_keras_1

SETTINGS = ("activation", "recurrent_activation")

OLDER = {"hard_sigmoid": "hard_sigmoid_of_keras_2"}
"""Keras 1 and 2 computed ``clip(0.2 x + 0.5, 0, 1)``; Keras 3 computes ``relu6(x + 3) / 6``."""


def is_older(version: str) -> bool:
    """Whether a file's version of Keras is one of those; an unknown one is taken for today's."""
    return version.startswith(("1.", "2."))


def restated(config: Any, version: str, written: Callable[[str], Any] = str) -> list[str]:
    """Change a description, in place, to say today what it said when it was written.

    Args:
        config: the model's description, of any depth.
        version: of the Keras that wrote it.
        written: how a name is to be written there.

    Returns:
        The names of the layers whose activation was restated.

    Raises:
        UserError: it is of Keras 1 and has a layer that has no counterpart.
    """
    if is_keras_1(version):
        in_words_of_keras_2(config)
    found, pending = list[str](), [config] if is_older(version) else []
    while pending:  # a loop, not recursion: a hostile file may be nested 60,000 deep
        value = pending.pop()
        if isinstance(value, dict):
            for key in SETTINGS:
                if isinstance(value.get(key), str) and value[key] in OLDER:
                    value[key] = written(OLDER[value[key]])
                    found.append(str(value.get("name")))
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return found
