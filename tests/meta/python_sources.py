"""The repository's Python files, parsed."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {
    "tensorflow",
    "keras",
    "tf2onnx",
    "torch",
    "torchvision",
    "onnx",
    "onnxruntime",
    "onnx2torch",
    "torchao",
    "ai_edge_litert",
}


def files(*folders):
    """Every Python file below the folders, by its path from the root."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found[path.relative_to(ROOT).as_posix()] = path
    return found


@cache
def parsed(name):
    return ast.parse((ROOT / name).read_text())


def imports(tree):
    """Full names of everything that is imported anywhere in a file, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
