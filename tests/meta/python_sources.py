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


def imports(node, functions=True):
    """Full names of what is imported in a file; `functions`: in their bodies too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif not isinstance(node, ast.expr) and (functions or not isinstance(node, ast.FunctionDef)):
        for child in ast.iter_child_nodes(node):
            yield from imports(child, functions)
