"""The command line, run in this process."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from conversion.__main__ import main
from conversion.reference import Reference

EMBEDDED = Path(__file__).parents[2] / "conversion" / "subjects" / "embedded.h5"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, with a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVERSION_CACHE_DIR", str(tmp_path / "store"))
    return tmp_path


@pytest.fixture
def no_worker(monkeypatch):
    """Fails the test where the Keras process would be started."""
    monkeypatch.setattr(Reference, "_start", lambda self: pytest.fail("the Keras process started"))


@pytest.fixture
def mine(folder):
    """A model of one's own, 32x32x3 to ten classes."""
    return Path(shutil.copyfile(EMBEDDED, folder / "mine.h5"))


@pytest.fixture
def run(capsys, monkeypatch):
    """Exit code, standard output, standard error, without the lines that a slow machine adds."""
    monkeypatch.setattr("conversion.core.progress.PATIENCE", float("inf"))

    def run(*arguments):
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as stopped:
            code = stopped.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def refused(run, no_worker):
    """The one line that a mistake gives; nothing is built and no Keras process is started."""

    def refused(*arguments):
        code, out, said = run(*arguments)
        assert (code, out) == (2, "")
        assert said.startswith("conversion: ")
        assert said.count("\n") == 1
        assert said.endswith("\n")
        assert "Traceback" not in said
        return said.rstrip()

    return refused


@pytest.fixture
def images(folder):
    """Writes an `.npz` of forty labelled images, changed as told."""

    def write(**changes):
        pixels = np.random.RandomState(0).randint(0, 256, (40, 32, 32, 3)).astype(np.uint8)
        arrays = {"x_test": pixels, "y_test": np.arange(40) % 10} | changes
        path = folder / "mine.npz"
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return write
