"""Every public class of `keras.layers`, and which kind of verdict it gets, for the documents."""

from __future__ import annotations

import ast
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from conversion.readers.refused_layers import BASE, CELL, LOOKUPS, REFUSED
from conversion.readers.schema import BY_KERAS

FUNCTIONS = ("Input",)
"""Public names that begin as a class does."""


def public_classes() -> dict[str, str]:
    """Public name to the class that it names, read from Keras's own list; nothing is imported."""
    found = find_spec("keras")
    assert found is not None
    assert found.origin is not None
    listed = Path(found.origin).parent / "layers" / "__init__.py"
    pairs = {
        name.asname or name.name: name.name
        for part in ast.parse(listed.read_text()).body
        if isinstance(part, ast.ImportFrom)
        for name in part.names
        if (name.asname or name.name)[0].isupper() and name.name not in FUNCTIONS
    }
    return {name: own if own in pairs else name for name, own in pairs.items()}


def verdicts() -> dict[str, str]:
    """Class to how it is judged: ``direct``, ``keras`` or ``refused``."""
    return {
        kind: "refused" if kind in REFUSED else "keras" if kind in BY_KERAS else "direct"
        for kind in {*public_classes().values()}
    }


def share_judged() -> tuple[int, int]:
    """Classes that get a verdict, of those that are layers and not about text or lookups.

    A cell is judged within the RNN that holds it.
    """
    counted = {k: v for k, v in verdicts().items() if REFUSED.get(k) not in (LOOKUPS, BASE)}
    judged = [k for k, v in counted.items() if v != "refused" or REFUSED[k] == CELL]
    return len(judged), len(counted)


def class_line() -> str:
    """How many classes there are of each kind, in words."""
    found = verdicts()
    count = [*found.values()].count
    judged, counted = share_judged()
    version = ".".join(metadata.version("keras").split(".")[:2])
    return (
        f"`keras.layers` of Keras: {len(found)} classes in version {version}. {count('direct')} "
        f"have a truth of ours and a direct route to PyTorch,\n{count('keras')} are judged by "
        f"Keras's own float64, and {count('refused')} are refused as below. Of the {counted} "
        f"that are layers and not about\ntext or lookups, {judged} get a verdict "
        f"({100 * judged // counted} %; a cell does within its RNN)."
    )


def alias_line() -> str:
    """Public names that are another name of a class."""
    pairs = [f"`{name}` ({kind})" for name, kind in public_classes().items() if name != kind]
    return f"Other names of the same classes: {', '.join(pairs)}."


def refused_table() -> str:
    """The classes that are refused, by reason, as Markdown."""
    by_reason: dict[str, list[str]] = {}
    for kind, reason in REFUSED.items():
        by_reason.setdefault(reason, []).append(f"`{kind}`")
    rows = [f"| {', '.join(kinds)} | {reason} |" for reason, kinds in by_reason.items()]
    return "\n".join(("| refused | why, and the way on |\n|---|---|", *rows))
