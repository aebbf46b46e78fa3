"""Loads the plugins of `fixtures`, for pytest runs from this folder."""

from hypothesis import settings

pytest_plugins = [
    "fixtures.options",
    "fixtures.workspaces",
    "fixtures.cases",
    "fixtures.verdicts",
    "fixtures.machines",
]

# The machines are shared: how long an example takes says nothing about the code.
settings.register_profile("conversion", deadline=None)
settings.load_profile("conversion")
