"""`conversion test`: the suite as a pytest run, whatever folder it is started in."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from conversion.cli import options
from conversion.core.errors import MissingDependency
from conversion.core.extras import needs

PLUGIN = "conversion.plugin"
CODES = {0: 0, 1: 1, 2: 130, 4: 2, 5: 2}
"""pytest's exit code to ours: interrupted, a usage error, no test selected; else 1."""


def run(given: argparse.Namespace) -> int:
    """Run the suite on a model.

    Args:
        given: the options of `conversion test`, each value as it was typed in `given.typed`, and
            pytest's own words in `given.behind`.

    Returns:
        The exit code: 0 all passed, 1 a test failed, 2 a mistake in what was given.

    Raises:
        MissingDependency: pytest or one of its plugins is not installed.
    """
    wanted = ("pytest", "hypothesis", "pytest_benchmark")
    if absent := [each for each in wanted if importlib.util.find_spec(each) is None]:
        raise MissingDependency(f"The suite needs {needs(absent)}.")
    import pytest

    found = importlib.util.find_spec(PLUGIN)
    assert found is not None
    assert found.origin is not None
    # An ini file of the plugin's own, so that none of the folder's or the clone's is read.
    ini = Path(found.origin).with_name("suite.ini")
    own = ["-p", PLUGIN, "-c", str(ini), f"--rootdir={Path.cwd()}"]
    return CODES.get(int(pytest.main([*own, *words(given.typed), *given.behind])), 1)


def words(typed: argparse.Namespace) -> list[str]:
    """The options as pytest takes them.

    Args:
        typed: the options, each value as it was typed.
    """
    found = [f"--model={typed.model}"]
    for option in options.table():
        value = getattr(typed, option.name)
        if option.keywords.get("action") == "store_const":
            found += [option.flag] if value is not None else []
        else:
            several = value if isinstance(value, list) else [value]
            found += [f"{option.flag}={each}" for each in several if each is not None]
    found += [f"--report={typed.report}"] if typed.report is not None else []
    return [*found, "--slow"] if typed.slow else found
