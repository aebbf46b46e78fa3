"""Data moves left to right, and a module imports only from its left."""

import ast

import pytest
from python_sources import FRAMEWORKS, files, imports, parsed

ORDER = (
    ("core",),
    ("readers",),
    ("proof.standard", "proof.truth", "reference"),
    ("subjects",),
    ("custom", "proof.metrics"),
    ("reading",),
    ("backends",),
    ("quantization",),
    ("proof.saturating", "proof.timing"),
    ("proof.emulation",),
    ("proof.taps",),
    ("workspace",),
    ("proof.checks",),
    ("report",),
    ("proof.faults",),
    ("proof.search",),
    ("session",),
    ("api",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
"""Parts of one line do not import each other."""

PLACE = {part: index for index, parts in enumerate(ORDER) for part in parts}
MODULES = files("conversion")


def part_of(path):
    return _part(path.removesuffix(".py").removesuffix("/__init__").split("/")) or "__init__"


def _part(names):
    """The part that a module's full name lies in; a room of the proof is a part of its own."""
    return ".".join(names[1:3] if names[1:2] == ["proof"] else names[1:2])


NAMES_THEM_ALL = {"conversion/backends/adapters.py", "conversion/core/code.py"}
"""The table of backends says where everything lies that is imported on first use, and what reads
imports has to know the name of that table."""


KNOWN = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in MODULES}


def named(tree):
    """Modules of the package that a string names, for an import on first use or another process."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            if name in KNOWN and name != "conversion":
                yield name


def parts_imported(tree, strings=True):
    for name in [*imports(tree), *(named(tree) if strings else ())]:
        names = name.split(".")
        if names[0] == "conversion":
            part = _part(names)
            if part != "proof":  # `from conversion.proof import truth` names the room as well
                yield part if part in PLACE else "__init__"


def from_the_right(tree, part, strings=True):
    """What a module of a part imports or names that does not stand left of it."""
    found = parts_imported(tree, strings)
    return sorted({each for each in found if each != part and PLACE[each] >= PLACE[part]})


def test_every_part_of_the_package_has_a_place():
    assert {part_of(path) for path in MODULES} - {"proof"} == set(PLACE)


def test_a_module_imports_only_from_its_left():
    found = {
        path: from_the_right(parsed(path), part_of(path), path not in NAMES_THEM_ALL)
        for path in MODULES
        if part_of(path) != "proof"
    }
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def known_to(path, functions=True):
    """The packages that a file imports."""
    return {name.split(".")[0] for name in imports(parsed(path), functions)}


def test_the_package_knows_neither_pytest_nor_fixtures():
    outside = {"pytest", "_pytest", "fixtures", "hypothesis", "tests"}
    found = {path: known_to(path) & outside for path in MODULES}
    door = "conversion/cli/pytest_run.py"  # `conversion test` is a pytest run
    assert {path: known for path, known in found.items() if known} == {door: {"pytest"}}


@pytest.mark.parametrize(
    ("part", "line", "wrong"),
    [
        ("proof.metrics", "from conversion.workspace import Workspace", ["workspace"]),
        ("proof.metrics", "import conversion.backends.onnx_file", ["backends"]),
        ("subjects", "from conversion.backends import BACKENDS", ["backends"]),
        ("readers", "from conversion.proof import truth", ["proof.truth"]),
        (
            "backends",
            "def f():\n    from conversion.quantization import onnx_static",
            ["quantization"],
        ),
        ("backends", "from conversion import convert", ["__init__"]),
        ("backends", "Backend('x', 'conversion.quantization.onnx_static')", ["quantization"]),
        ("backends", "{TAPS: 'conversion.proof.taps.network:Network'}", ["proof.taps"]),
        ("workspace", "from conversion.core.artifact import Store", []),
        ("proof.metrics", "from conversion.proof.metrics import limits", []),
        ("api", "import os, numpy", []),
    ],
    ids=[
        "check to workspace",
        "check to backend",
        "subject to backend",
        "reader to truth",
        "inside a function",
        "the package itself",
        "in a string",
        "a function in a string",
        "to the left",
        "within",
        "another package",
    ],
)
def test_an_import_from_the_right_would_be_seen(part, line, wrong):
    assert from_the_right(ast.parse(line), part) == wrong


TENSORFLOW = {
    "conversion/reference/decoding.py",
    "conversion/reference/float64.py",
    "conversion/reference/jobs.py",
    "conversion/reference/network.py",
    "conversion/reference/older_activations.py",
    "conversion/reference/tracing.py",
}


def test_only_the_reference_process_imports_tensorflow():
    found = {path for path in MODULES if known_to(path) & {"tensorflow", "keras", "tf2onnx"}}
    assert found == TENSORFLOW


PROCESSES_OF_THEIR_OWN = (
    "tests/tools/",
    *(f"tests/converter_faults/{of}" for of in ("litert_", "onnx_", "torch_")),
)
"""Scripts, which no test imports."""

TESTS = [p for p in files("tests", "fixtures") if not p.startswith(PROCESSES_OF_THEIR_OWN)]


def test_a_test_file_imports_no_framework_where_it_is_collected():
    found = {path: known_to(path, functions=False) & FRAMEWORKS for path in TESTS}
    assert {path: known for path, known in found.items() if known} == {}


def test_an_import_inside_a_function_is_not_at_the_top():
    tree = ast.parse("import os\nif os:\n    import onnx\ndef f():\n    import torch")
    assert list(imports(tree, functions=False)) == ["os", "onnx"]
