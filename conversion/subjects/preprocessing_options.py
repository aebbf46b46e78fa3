"""The options for preprocessing, for the command line and for pytest."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from conversion.subjects.preprocessing import FAMILIES, Preprocessing


def number(text: str) -> float:
    """A number, or one divided by another, such as ``1/255``.

    Raises:
        ArgumentTypeError: it is neither.
    """
    above, slash, below = text.partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise ArgumentTypeError(f"expected a number or 1/255; got '{text}'") from None


def numbers(text: str) -> tuple[float, ...]:
    """One number, or one a channel with commas between.

    Raises:
        ArgumentTypeError: one of them is no number.
    """
    return tuple(number(part) for part in text.split(","))


OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--preprocess",
        {
            "metavar": "FAMILY",
            "default": "",
            "help": f"what keras.applications does for a family: {', '.join(FAMILIES)}",
        },
    ),
    ("--scale", {"metavar": "S", "type": number, "help": "factor of every pixel, such as 1/255"}),
    (
        "--mean",
        {
            "metavar": "M[,M,M]",
            "type": numbers,
            "default": (),
            "help": "subtracted after scaling; one number or one a channel",
        },
    ),
    (
        "--std",
        {
            "metavar": "S[,S,S]",
            "type": numbers,
            "default": (),
            "help": "divided by at the end; one number or one a channel",
        },
    ),
    ("--resize", {"action": "store_true", "help": "resize images to the model's input"}),
)
"""Option to what argparse and pytest are told of it."""


def chosen(given: Any) -> Preprocessing:
    """What the options ask for.

    Args:
        given: has an attribute for each of them, as argparse and pytest leave it.

    Raises:
        UserError: they contradict each other.
    """
    return Preprocessing(given.preprocess, given.scale, given.mean, given.std, given.resize)
