"""What the tests of our own code need beside the plugin, which pytest.ini loads."""

from pathlib import Path

import pytest
from conversion.plugin import collection
from hypothesis import settings

# The machines are shared: how long an example takes says nothing about the code.
settings.register_profile("conversion", deadline=None)
settings.load_profile("conversion")


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
    """Leave out slow tests of our own code too."""
    collection.leave_out_slow(config, items, list(items))
