"""A setting and its option in one place: a dataclass field knows what a command line says of it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import field, fields
from typing import Any

from conversion.core.errors import UserError


def option(
    default: Any,
    flag: str,
    told: str,
    *,
    choices: tuple[str, ...] = (),
    metavar: str = "",
    parse: Callable[[str], Any] | None = None,
    const: Any = None,
) -> Any:
    """A dataclass field whose metadata is enough to make its option.

    Fields of several dataclasses may name the same flag: one option sets all of them.

    Args:
        default: of the field; the help ends with it where there is one to show.
        flag: with its two dashes; where `const` is given the option takes no value.
        told: the help.
        choices: the values on offer, where they are words.
        metavar: what stands for the value in the help.
        parse: text to value; text as it is by default.
        const: the value of the field where the flag is given.

    Returns:
        The field, with ``option``, ``help``, and ``choices``, ``metavar``, ``type`` or ``const`` in
        its metadata where they are given.
    """
    shown = default not in (None, "", ()) and const is None
    told = f"{told} (default: {default})" if shown else told
    given = {"choices": choices, "metavar": metavar, "type": parse, "const": const}
    kept = {name: value for name, value in given.items() if value not in (None, "", ())}
    return field(default=default, metadata={"option": flag, "help": told, **kept})


def check_choices(settings: Any) -> None:
    """Refuse a value that its field does not offer.

    Args:
        settings: a dataclass with fields made by `option`.

    Raises:
        UserError: there is one.
    """
    for each in fields(settings):
        value, allowed = getattr(settings, each.name), each.metadata.get("choices")
        if allowed and value not in allowed:
            raise UserError(
                f"Expected {each.name} to be one of {', '.join(allowed)}; got {value!r}."
            )


def as_names(text: str) -> tuple[str, ...]:
    """``A,B`` as names.

    Raises:
        ArgumentTypeError: there is no name in it.
    """
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise ArgumentTypeError("expected at least one name; got none")
    return found


def as_number(text: str) -> float:
    """A number, or one divided by another, such as ``1/255``.

    Raises:
        ArgumentTypeError: it is neither.
    """
    above, slash, below = text.partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise ArgumentTypeError(f"expected a number or 1/255; got '{text}'") from None


def as_numbers(text: str) -> tuple[float, ...]:
    """One number, or one a channel with commas between.

    Raises:
        ArgumentTypeError: one of them is no number.
    """
    return tuple(as_number(part) for part in text.split(","))
