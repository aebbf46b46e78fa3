"""The terminal is ours; what libraries print is in the log, and nothing is lost in a crash."""

import os
import signal
import subprocess
import sys

import pytest

STAND_IN = """
import logging, os, sys, warnings
import conversion.__main__ as command
import conversion.cli.verbs
import conversion.core.progress
from conversion.core.journal import journal
from pathlib import Path

def work(given):
    with journal({folder}) as log:
        log.info("ours")
        log.debug("only for the log")
        os.system("echo from a child >&2")
        os.write(2, b"from native code\\n")
        warnings.warn("from Python")
        logging.getLogger("another").error("from a logger")
        {then}
    print("the table")
    return 0

conversion.core.progress.PATIENCE = float("inf")
conversion.cli.verbs.inspect = work
sys.argv = ["conversion", "inspect", "a file"]
sys.exit(command.main())
"""
FOREIGN = ("from a child", "from native code", "UserWarning: from Python", "from a logger")


@pytest.fixture
def ran(tmp_path):
    """Runs the command line with a verb that prints all sorts of things; gives what it said."""

    def ran(then="pass", folder="Path('out')"):
        command = [sys.executable, "-c", STAND_IN.format(then=then, folder=folder)]
        paths = os.pathsep.join(filter(None, sys.path))
        environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return ran


def missing(words, text):
    return [each for each in words if each not in text]


def test_the_terminal_shows_our_lines_and_the_log_all_of_them(ran, tmp_path):
    assert ran() == (0, "the table\n", "ours\n")
    log = (tmp_path / "out" / "conversion.log").read_text()
    assert missing([*FOREIGN, "ours", "only for the log"], log) == []


def test_without_a_log_nothing_is_left_behind(ran, tmp_path):
    assert ran(folder="None") == (0, "the table\n", "ours\n")
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_is_one_sentence_though_libraries_spoke(ran):
    then = "from conversion.core.errors import UserError; raise UserError('Expected a file.')"
    assert ran(then) == (2, "", "ours\nconversion: Expected a file.\n")


@pytest.mark.parametrize("folder", ["Path('out')", "None"], ids=["log", "no-log"])
def test_a_mistake_of_ours_shows_its_traceback(ran, folder):
    code, out, said = ran("1 / 0", folder)
    assert (code, out) == (1, "")
    assert said.startswith("ours\n")
    assert said.endswith("ZeroDivisionError: division by zero\n")
    assert missing(FOREIGN, said) == ([] if folder == "None" else list(FOREIGN))


@pytest.mark.parametrize(
    ("folder", "pattern"),
    [("Path('out')", "out/conversion.log"), ("None", "conversion-*.log")],
    ids=["log", "no-log"],
)
def test_a_crash_in_native_code_leaves_a_log(ran, tmp_path, folder, pattern):
    code, out, said = ran("os.write(2, b'terminate called'); os.abort()", folder)
    assert (code, out, said) == (-signal.SIGABRT, "", "ours\n")
    (log,) = tmp_path.glob(pattern)
    assert missing([*FOREIGN, "terminate called"], log.read_text()) == []


def test_a_call_from_python_leaves_standard_error_alone(capfd, tmp_path):
    from conversion.core.console import console
    from conversion.core.journal import journal

    with console(None), journal(tmp_path) as log:
        os.write(2, b"from native code\n")
        log.info("ours")
        log.debug("only for the log")
    assert capfd.readouterr().err == "from native code\nours\n"
    assert "from native code" not in (tmp_path / "conversion.log").read_text()
