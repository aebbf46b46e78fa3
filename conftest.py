"""Loads the plugins of `fixtures`, for pytest runs from this folder."""

pytest_plugins = [
    "fixtures.options",
    "fixtures.workspaces",
    "fixtures.cases",
    "fixtures.verdicts",
    "fixtures.machines",
]
