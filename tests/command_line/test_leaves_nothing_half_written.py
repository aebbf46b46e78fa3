"""A build that stops leaves no file under its final name, in the folder or in the store."""

import shutil

import pytest

from conversion.core.errors import UserError

CONVERT = ("convert", "mine.h5", "--backends", "torch-fp32", "--out", "out")


def files(folder):
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("stop", "code"),
    [(UserError("stopped"), 2), (KeyboardInterrupt(), 130)],
    ids=["error", "ctrl-c"],
)
def test_half_a_build(run, mine, no_worker, monkeypatch, stop, code):
    def build(ingredients, target):
        target.write_bytes(b"half")
        raise stop

    monkeypatch.setattr("conversion.backends.torch_fp32.build", build)
    assert run(*CONVERT)[0] == code
    assert files(mine.parent / "out") == {"conversion.log"}
    assert not [name for name in files(mine.parent / "store") if not name.endswith(".lock")]


def test_half_a_copy(run, mine, no_worker, monkeypatch):
    def copyfile(source, target):
        target.write_bytes(source.read_bytes()[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    assert run(*CONVERT)[0] == 130
    assert not {"torch-fp32.pt", "torch-fp32.provenance.json"} & files(mine.parent / "out")


def test_whole_build_needs_no_keras(run, mine, no_worker):
    code, out, _ = run(*CONVERT)
    assert code == 0
    assert out.startswith("out/torch-fp32.pt  ")
    made = {"conversion.log", "torch-fp32.pt", "torch-fp32.provenance.json"}
    assert files(mine.parent / "out") == made
