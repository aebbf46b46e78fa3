"""The examples of docs/python.md do what they say, the second in a process with TensorFlow."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import conversion

GUIDE = Path(__file__).parents[2] / "docs" / "python.md"
TEXT = GUIDE.read_text()
PLAIN, WITH_KERAS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def promised(example):
    """What an example says that it prints."""
    return re.findall(r"print\(.*?\)  # (.*)", example)


def agrees(line, promise):
    """Whether a line is the one that was promised, where three dots stand for anything."""
    return re.fullmatch(re.escape(promise).replace(r"\.\.\.", ".*"), line) is not None


def test_the_first_example_prints_what_it_says(
    keras_file, tmp_path, monkeypatch, capsys, one_process
):
    shutil.copyfile(keras_file, tmp_path / "mine.keras")
    monkeypatch.chdir(tmp_path)
    exec(PLAIN, {})
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(promised(PLAIN)) == 3
    for line, promise in zip(said, promised(PLAIN), strict=True):
        assert agrees(line, promise), line


@pytest.mark.slow
def test_every_float_route_works_where_tensorflow_came_first(tmp_path):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "CONVERSION_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", f"import tensorflow\n{WITH_KERAS}"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (promise,) = promised(WITH_KERAS)
    assert agrees(done.stdout.strip(), promise), done.stdout


@pytest.mark.parametrize("name", [name for name in conversion.__all__ if name.islower()])
def test_every_function_says_when_its_result_is_true(name):
    rows = [row for row in TEXT.splitlines() if re.match(r"\| .*\| .*\| .*\|$", row)]
    assert any(f"`{name}`" in row.split("|")[1] for row in rows)
