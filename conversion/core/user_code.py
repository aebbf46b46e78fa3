"""Python files that a user names with `--custom`; nothing is executed that was not named."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from conversion.core import digest
from conversion.core.errors import UserError

KERAS = ("keras", "tensorflow", "tf_keras")
TORCH = ("torch", "torchvision")

BUILDER = "model"
"""The function in such a file that returns the Keras model for a file of weights alone."""


@dataclass(frozen=True)
class UserFile:
    """A Python file as it was when it was read.

    Attributes:
        path: where it is.
        digest: SHA-256 of its bytes.
        is_for_keras: whether it imports Keras at its top, so that it is only executed in the
            process that runs Keras.
        builds: whether it has a function `BUILDER`.
    """

    path: Path
    digest: str
    is_for_keras: bool
    builds: bool = False


def user_file(path: Path) -> UserFile:
    """Look at a file without executing it.

    Args:
        path: a Python file.

    Raises:
        UserError: it is missing or no Python, or imports PyTorch at its top.
    """
    if not path.is_file():
        raise UserError(f"Expected a Python file at {path}; there is none.")
    content = path.read_bytes()
    try:
        tree = ast.parse(content)
        tops = {name.split(".")[0] for name in _imported_at_top(tree)}
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise UserError(f"Expected Python in {path}; line {line}: {error.args[0]}.") from None
    if tops & {*TORCH}:
        raise UserError(
            f"Expected {path.name} to import torch inside the function that needs it; it does so "
            "at its top, and the file is also executed beside TensorFlow, which cannot share a "
            "process with it."
        )
    builds = any(isinstance(e, ast.FunctionDef) and e.name == BUILDER for e in tree.body)
    return UserFile(path.resolve(), digest.of_bytes(content), bool(tops & {*KERAS}), builds)


def _imported_at_top(tree: ast.AST) -> Iterator[str]:
    """Modules that are imported when the file is: not inside functions."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def execute(file: UserFile) -> ModuleType:
    """Execute a file and return it as a module.

    Raises:
        UserError: its bytes are no longer those that were read, or it raises.
    """
    content = file.path.read_bytes()
    if digest.of_bytes(content) != file.digest:
        raise UserError(f"{file.path.name} changed after it was read: start again.")
    name = f"conversion_user_{file.digest[:12]}"
    spec = importlib.util.spec_from_file_location(name, file.path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(content, str(file.path), "exec"), vars(module))  # noqa: S102  # named by the user
    except Exception as error:
        raise UserError(
            f"Expected {file.path.name} to be imported; it raises {type(error).__name__}: {error}."
        ) from error
    return module


def user_files(paths: Sequence[str | Path]) -> tuple[UserFile, ...]:
    """Look at several files."""
    return tuple(user_file(Path(path)) for path in paths)
