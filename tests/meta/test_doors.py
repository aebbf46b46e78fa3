"""The suite is reached from any folder, under the same ids, and touches nobody else's tests."""

import os
import shutil
import subprocess
import sys

import pytest
from pytest_runs import in_places
from python_sources import ROOT

MODEL = ROOT / "conversion" / "subjects" / "embedded.h5"
COLLECT = ("--collect-only", "-q", "-p", "no:cacheprovider")
THEIRS = {
    "conftest.py": "raise RuntimeError('their conftest was loaded')\n",
    "pytest.ini": "[pytest]\ntestpaths = checks\npython_files = check_*.py\n"
    "python_functions = check_*\nfilterwarnings = error\naddopts = --import-mode=importlib\n",
    "checks/check_sums.py": "def check_sum():\n    assert 1 + 1 == 2\n",
}


def run(folder, *words):
    """Exit code, ids, everything that was said."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    ids = [line for line in done.stdout.splitlines() if "::" in line]
    return done.returncode, ids, done.stdout + done.stderr


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    shutil.copyfile(MODEL, folder / "mine.h5")
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")
    for name, text in THEIRS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def ids(empty):
    """What `conversion test` collects, with an option of ours and one of pytest's."""
    code, found, said = run(
        empty, "conversion", "test", "mine.h5", "--opset", "17", "--", *COLLECT, "-m", "parity"
    )
    assert code == 0, said
    return found


def test_conversion_test_collects_the_topic_of_the_one_model(ids):
    assert {each.split("::")[0] for each in ids} == {"conversion/suite/test_parity.py"}
    assert len(ids) == len(set(ids)) == 20
    assert all("[mine-" in each for each in ids)


@pytest.fixture(scope="module")
def runs(empty, repository, ids):
    """Runs of pytest in one process, those in the clone last: they alone know its folder."""
    path, parity = empty / "mine.h5", ("-m", "parity")
    plugin = ("--collect-only", "-q", "-p", "conversion.plugin")
    chosen = {
        "space": (empty, [*plugin, "--model", path, *parity]),
        "equals": (empty, [*plugin, f"--model={path}", *parity]),
        "relative": (empty, [*plugin, "--model", "mine.h5", *parity]),
        "an id": (empty, [*plugin, "--model=mine.h5", ids[3]]),
        "theirs": (repository, [*plugin, "--model", path, *parity]),
        "the clone": (ROOT, ["--collect-only", "-q", f"--model={path}", *parity]),
    }
    return in_places(empty, chosen)


@pytest.mark.parametrize("name", ["space", "equals", "relative", "theirs", "the clone"])
def test_every_spelling_and_every_folder_collects_the_same_ids(runs, ids, name):
    """In somebody else's repository too, whose own tests are not collected then."""
    code, out, err, found, _ = runs[name]
    assert code == 0, out + err
    assert found == ids


def test_an_id_is_enough_to_select_its_test(runs, ids):
    code, out, err, found, _ = runs["an id"]
    assert code == 0, out + err
    assert found == [ids[3]]


def test_without_a_model_their_tests_are_theirs(repository, runs):
    (repository / "conftest.py").write_text("")
    code, found, said = run(repository, "pytest", *COLLECT, "-p", "conversion.plugin")
    (repository / "conftest.py").write_text(THEIRS["conftest.py"])
    assert code == 0, said
    assert found == ["checks/check_sums.py::check_sum"]
