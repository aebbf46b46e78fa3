"""What the words behind an option mean."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

from conversion.core.errors import UserError


def external(text: str) -> tuple[str, Path]:
    """``NAME=FILE`` as a backend's name and a path.

    Raises:
        ArgumentTypeError: there is no equals sign, or the name is unknown.
    """
    from conversion.backends import backend

    name, sign, file = text.partition("=")
    if not sign or not file:
        raise ArgumentTypeError(f"expected NAME=FILE; got '{text}'")
    try:
        return backend(name).name, Path(file)
    except UserError as error:
        raise ArgumentTypeError(str(error)) from None


def input_shape(text: str) -> str:
    """``H,W,C`` as what `--replace` takes.

    Raises:
        ArgumentTypeError: it is no list of sizes above 0.
    """
    from conversion.readers.input_shape import of_shape

    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ArgumentTypeError(f"expected H,W,C, whole numbers above 0; got '{text}'")
    return of_shape([int(part) for part in parts])


def topics(text: str) -> list[str]:
    """``T,T`` as topics.

    Raises:
        ArgumentTypeError: one is unknown.
    """
    from conversion.proof.checks import TOPICS

    found = [topic.strip() for topic in text.split(",")]
    for topic in found:
        if topic not in TOPICS:
            raise ArgumentTypeError(f"unknown topic '{topic}'; known: {', '.join(TOPICS)}")
    return found


def seconds(text: str) -> float:
    """A time.

    Raises:
        ArgumentTypeError: it is no number, or not above 0.
    """
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise ArgumentTypeError(f"expected seconds above 0; got '{text}'")
    return found
