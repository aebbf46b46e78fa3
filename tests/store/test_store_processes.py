"""The store between processes: killed ones leave nothing to trust, two at once build once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conversion.core.artifact import Store

ROOT = Path(__file__).parents[2]

BUILD = """
import sys, time
from pathlib import Path
from conversion.core.artifact import Store

root, pause = Path(sys.argv[1]), float(sys.argv[2])

def build(folder):
    (folder / "half").write_text("only half of it")
    with (root / "log").open("a") as log:
        log.write("built\\n")
    time.sleep(pause)
    (folder / "half").write_text("all of it")
    return {}

entry = Store(root).obtain("thing", {"source": "abc"}, (), build)
print(entry.built, entry.file("half").read_text())
"""


def start(root, pause):
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(root), str(pause)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


@pytest.fixture
def killed(tmp_path):
    """A store in which a process was killed while it built."""
    process = start(tmp_path, 60)
    wait_for(tmp_path / "log")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert list((tmp_path / "thing").glob(".*-*/half"))
    return tmp_path


def built(folder):
    (folder / "half").write_text("all of it")
    return {}


def test_what_a_killed_process_left_is_not_trusted_and_is_removed(killed):
    entry = Store(killed).obtain("thing", {"source": "abc"}, (), built)
    assert (entry.built, entry.file("half").read_text()) == (True, "all of it")
    assert [path.name for path in entry.folder.parent.iterdir() if path.is_dir()] == [
        entry.folder.name
    ]


def test_what_a_killed_process_left_of_another_entry_stays_until_that_is_asked_for(killed):
    Store(killed).obtain("thing", {"source": "another"}, (), built)
    assert list((killed / "thing").glob(".*-*/half"))


def test_two_processes_at_once_build_once(tmp_path):
    both = [start(tmp_path, 0.3) for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert said == ["False all of it", "True all of it"]
    assert (tmp_path / "log").read_text() == "built\n"
