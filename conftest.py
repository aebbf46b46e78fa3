"""What the tests of our own code need beside the plugin, which pytest.ini loads."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from conversion.plugin import collection
from hypothesis import settings

# The machines are shared: how long an example takes says nothing about the code. Examples are the
# same in every run, so that a red says something of the change; "explore" draws new ones.
settings.register_profile("conversion", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("conversion")

collect_ignore = ["tests/openvino_backend"]
"""A distribution of its own, with tests of its own: `tox -e openvino`."""

TIMED = "latency or alone"
"""What measures time: beside other tests it would measure them too."""

TIMED_FILES = ("tests/suite/test_latency.py", "tests/timing")
"""Where that is."""

CHOOSES_NOTHING = re.compile(r"-(q+|v+|x|r\w+)|--(durations|tb|color|maxfail)=\w+")
"""Arguments of pytest that leave all tests to be run, and write no file."""

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
"""One thread each beside other processes: threads that wait for a busy core spin, which took twice
the time of the work itself."""

PROCESSES = 3
"""More than two cores: each waits while its Keras process works. The two grow to 3.5 GB."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int, int]:
    """Run a plain `pytest` on all cores; what is timed follows in this process, alone.

    A run that chooses or writes anything, were it by `-n 0`, is one process as always.
    """
    beside = 0
    if _is_plain(config):
        beside = _on_all_cores(config)
        if beside not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            sys.exit(beside)
        config.option.markexpr = TIMED
        config.args = [str(config.rootpath / each) for each in TIMED_FILES]
    alone = yield
    return beside or alone


def _is_plain(config: pytest.Config) -> bool:
    return (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and all(CHOOSES_NOTHING.fullmatch(each) for each in config.invocation_params.args)
        and not os.environ.get("PYTEST_ADDOPTS")
        and config.pluginmanager.hasplugin("xdist")
        and (os.cpu_count() or 1) > 1
    )


def _on_all_cores(config: pytest.Config) -> int:
    """Run all that is not timed in several processes; its exit code."""
    chosen = ["-n", str(PROCESSES), "--dist=worksteal"]
    command = [sys.executable, "-m", "pytest", *config.invocation_params.args, *chosen]
    command += ["--threads=1", "-m", f"not ({TIMED})"]
    known = os.environ | dict.fromkeys(POOLS, "1")
    with subprocess.Popen(command, cwd=config.rootpath, env=known) as child:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child's, who has it too
        try:
            return child.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a clone that is not the one installed: its suite would not be what runs.

    Raises:
        pytest.UsageError: another copy of the package is installed.
    """
    here = Path(__file__).parent / "tests" / "suite"
    if collection.suite().resolve() != here.resolve():
        raise pytest.UsageError(
            f"Expected the suite of this clone to be installed; found {collection.suite()}: "
            "pip install -e . here."
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests of our own code too, and of long tables all but a sample."""
    of_a_table = Counter[str]()
    for item in items:
        table = item.get_closest_marker("one_in")
        if table is not None:
            name = item.nodeid.partition("[")[0]
            if of_a_table[name] % table.args[0]:
                item.add_marker(pytest.mark.slow)
            of_a_table[name] += 1
    collection.leave_out_slow(config, items, list(items))
