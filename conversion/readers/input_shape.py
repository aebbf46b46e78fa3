"""The shape of a model's input by the user's word, where the file leaves it open or has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conversion.core.errors import UserError
from conversion.readers.notation import MODELS

INPUT = "InputLayer"

SHAPES = ("batch_input_shape", "batch_shape")
"""What the settings of a first layer say of the model's input."""

THE_INPUT = "the input"
"""Stands for the name of a model's only input, which a Sequential model may not have named."""


def of_shape(sizes: Sequence[int]) -> str:
    """What `--replace` takes for a model's only input of a shape.

    Args:
        sizes: of the input, without the batch.
    """
    return f"{THE_INPUT}={INPUT}(shape={list(sizes)})"


def is_shape(value: Any) -> bool:
    """Whether a value is a list of sizes above 0."""
    return isinstance(value, list) and bool(value) and all(type(n) is int and n > 0 for n in value)


def fix_input(config: Mapping[str, Any], name: str, shape: list[int | None]) -> None:
    """Write a shape where a description has the one of an input, in place.

    Args:
        config: the parsed description of a model.
        name: the input's, or `THE_INPUT`.
        shape: with the batch first, which is None.

    Raises:
        UserError: there is no such input, or several, or its shape is another one already.
    """
    inputs = _inputs(config)
    named = [each for each in inputs if name in (THE_INPUT, each.get("name"))]
    if len(named) != 1:
        names = ", ".join(str(each.get("name")) for each in inputs) or "none"
        raise UserError(f"Expected one input that a shape is said of; the model has {names}.")
    (settings,) = named
    stated = next((list(settings[key]) for key in SHAPES if settings.get(key)), shape)
    fits = len(stated) == len(shape) and all(
        old in (None, new) for old, new in zip(stated[1:], shape[1:], strict=True)
    )
    if not fits:
        own, wanted = (
            ",".join(str(size or "any") for size in each[1:]) for each in (stated, shape)
        )
        raise UserError(
            f"Expected an input shape that fits the model's own ({own}); got {wanted}: leave the "
            "sizes that the file states."
        )
    settings[SHAPES[1] if SHAPES[1] in settings else SHAPES[0]] = shape


def _inputs(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settings of the layers that have the shapes of a model's inputs."""
    inner = config["config"]
    listed = inner["layers"] if isinstance(inner, Mapping) else inner
    if config.get("class_name") == "Sequential":
        first = listed[:1]
        return (
            _inputs(first[0])
            if first and first[0]["class_name"] in MODELS
            else [each["config"] for each in first]
        )
    return [each["config"] for each in listed if each.get("class_name") == INPUT]
