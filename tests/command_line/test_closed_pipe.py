"""Nobody reads any more: the command ends at once, without a word."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EMBEDDED = Path(__file__).parents[2] / "conversion" / "subjects" / "embedded.h5"
BROKEN = 128 + signal.SIGPIPE
SPEAKS = """
import sys, time
import conversion.__main__ as command
import conversion.cli.verbs
import conversion.core.progress
from conversion.core.console import LOG

def work(given):
    while True:
        LOG.info("ours")
        time.sleep(0.01)

conversion.core.progress.PATIENCE = float("inf")
conversion.cli.verbs.inspect = work
sys.argv = ["conversion", "inspect", "a file"]
sys.exit(command.main())
"""


def environment():
    """This process's, with buffers: without them argparse swallows what goes wrong in a write."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def started(*arguments, **streams):
    return subprocess.Popen([sys.executable, *arguments], env=environment(), **streams)


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("verify", "--help"), ("inspect", str(EMBEDDED))],
    ids=["help", "verb-help", "inspect"],
)
def test_closed_standard_output(arguments):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started("-m", "conversion", *arguments, **pipes) as process:
        process.stdout.close()
        # of a stage that takes long, on a busy machine, a line says so
        assert {*process.stderr.read().splitlines()} <= {b"inspect ..."}
    assert process.returncode == BROKEN


def test_closed_standard_error_ends_the_work():
    with started("-c", SPEAKS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout.readline() == b"ours\n"
        process.stdout.close()
    assert process.returncode == BROKEN


def test_no_standard_streams_at_all():
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m conversion inspect nowhere.h5 >&- 2>&-"],
        env=environment(),
        check=False,
    )
    assert done.returncode == 2
