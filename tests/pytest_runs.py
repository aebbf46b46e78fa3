"""Runs of pytest that only collect or refuse, several in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

RUN = """
import contextlib, io, json, os, sys
import pytest

class Ids:
    def pytest_collection_finish(self, session):
        self.found = [item.nodeid for item in session.items]

answers = []
for place, arguments in json.loads(sys.argv[1]):
    os.chdir(place)
    out, err, ids = io.StringIO(), io.StringIO(), Ids()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = pytest.main(["-p", "no:cacheprovider", *arguments], plugins=[ids])
    loaded = sorted({name.split(".")[0] for name in sys.modules})
    found = getattr(ids, "found", [])
    answers.append([int(code), out.getvalue(), err.getvalue(), found, loaded])
print(json.dumps(answers))
"""

COLLECT = ("--collect-only", "-q")


def in_one_process(folder, runs):
    """Answers of several runs of pytest in the clone: exit code, output, errors, ids, modules."""
    return in_places(folder, {name: (ROOT, arguments) for name, arguments in runs.items()})


def in_places(folder, runs):
    """The same of runs that begin each in a folder of its own."""
    known = {**os.environ, "CONVERSION_CACHE_DIR": str(folder), "PYTEST_ADDOPTS": ""}
    known.pop("CONVERSION_DATA_DIR", None)
    arguments = [[str(place), [str(each) for each in run]] for place, run in runs.values()]
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(arguments)],
        cwd=ROOT,
        env=known,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    return dict(zip(runs, answers, strict=True))
