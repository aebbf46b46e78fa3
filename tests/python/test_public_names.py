"""Everything public is in `__all__`, is seen by tools that read the source, and costs nothing."""

import ast
import inspect
import json
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import conversion

SOURCE = Path(conversion.__file__)
RESULTS = (
    conversion.Artifact,
    conversion.Detection,
    conversion.Measurement,
    conversion.Searched,
    conversion.Verification,
)
FUNCTIONS = [
    each for name in conversion.__all__ if inspect.isfunction(each := getattr(conversion, name))
]


def parts(kind):
    """The classes that an annotation is made of."""
    inner = typing.get_args(kind)
    return {each for part in inner for each in parts(part)} if inner else {kind}


PUBLIC = {part for name in conversion.__all__ for part in parts(getattr(conversion, name))}


@pytest.mark.parametrize("where", [*FUNCTIONS, *RESULTS], ids=lambda each: each.__name__)
def test_whatever_an_annotation_names_is_public(where):
    hints = typing.get_type_hints(where)
    named = {part for hint in hints.values() for part in parts(hint)}
    ours = {each for each in named if getattr(each, "__module__", "").startswith("conversion")}
    assert hints
    assert ours <= PUBLIC


def test_the_functions_are_these():
    assert {each.__name__ for each in FUNCTIONS} == {
        *("convert", "quantize", "evaluate", "verify", "search", "power")
    }


def test_tools_that_read_the_source_see_every_name():
    block = next(node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    imported = {alias.name: node.module for node in block.body for alias in node.names}
    assert set(imported) == set(conversion.__all__)
    for name, module in imported.items():
        assert getattr(sys.modules[module], name) is getattr(conversion, name)
    assert set(conversion.__all__) <= set(dir(conversion))


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'conversion' has no attribute 'convrt'"):
        _ = conversion.convrt


SCRIPT = """
import json, sys
before = set(sys.modules)
import conversion
loaded = sorted({name.split(".")[0] for name in set(sys.modules) - before})
from conversion.proof.search.search import Choice
import conversion.proof.search.record
known = [conversion.search.__name__, conversion.search.__module__]
heavy = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps([loaded, known, heavy]))
"""


@pytest.fixture(scope="module")
def fresh():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def test_importing_the_package_imports_nothing_but_the_standard_library(fresh):
    loaded = set(fresh[0])
    assert "conversion" in loaded
    assert loaded - {"conversion"} <= sys.stdlib_module_names


def test_search_is_the_function_also_after_its_package_was_imported(fresh):
    assert fresh[1] == ["search", "conversion.api.choosing"]


def test_the_functions_themselves_import_no_framework(fresh):
    assert "numpy" in fresh[2]
    assert not {"tensorflow", "keras", "torch", "onnx", "onnxruntime"} & set(fresh[2])
