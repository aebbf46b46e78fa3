"""Which of the package's modules a piece of finished work depends on, read from their imports."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from conversion.core import digest

PACKAGE = "conversion"
REGISTRY = "conversion.backends.adapters"
"""Names every backend in a string; none of them depends on the others, or their keys say so."""


def code_digest(*modules: str, alone: tuple[str, ...] = ()) -> str:
    """SHA-256 over modules and everything of the package that they import, lazily or not.

    Args:
        modules: full names, such as ``conversion.backends.onnx_fp32``.
        alone: modules whose own lines belong to it without what they import.
    """
    names = {name for module in modules for name in closure(module)} | set(alone)
    return digest.of_settings({name: _digest(name) for name in sorted(names)})


@cache
def closure(module: str) -> frozenset[str]:
    """A module and all modules of its package and of ours that it imports, however indirectly.

    Args:
        module: its full name; one of another distribution brings a backend.
    """
    own = {PACKAGE, module.partition(".")[0]}
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        known = name.partition(".")[0] in own and name not in found
        if known and _path(name) is not None:
            found.add(name)
            waiting += _imports(name)
    return frozenset(found)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """What a module imports anywhere in it, or names in a string for another process to import."""
    path = _path(module)
    assert path is not None
    return tuple(_named(ast.parse(path.read_bytes()), strings=module != REGISTRY))


def _named(tree: ast.AST, strings: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif strings and isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def _path(name: str) -> Path | None:
    """The file of a module; None for what is no module in Python, or is not found."""
    if not all(part.isidentifier() for part in name.split(".")) or name == PACKAGE:
        return None  # our package itself only names where things are
    package, *rest = name.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    if not rest:
        return origin if origin.suffix == ".py" else None
    stem = origin.parent.joinpath(*rest)
    files = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((each for each in files if each.is_file()), None)


@cache
def _digest(name: str) -> str:
    path = _path(name)
    return "" if path is None else digest.of_file(path)
