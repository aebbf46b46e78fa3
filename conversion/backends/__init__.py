"""What makes and opens artifacts, and what lies between: every backend by name."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import cast

from conversion.backends.adapters import ADAPTERS
from conversion.backends.adapters import STEPS as _STEPS
from conversion.backends.backend import Backend as Backend
from conversion.backends.backend import Capability as Capability
from conversion.backends.backend import Implementation
from conversion.backends.backend import Ingredients as Ingredients
from conversion.backends.entry_points import of_other_distributions
from conversion.core.errors import MissingDependency, UserError
from conversion.core.extras import needs

REFERENCE = ADAPTERS[0].name
"""The source model itself, run by Keras: what the others are judged against."""

STEPS: dict[str, Backend] = {step.name: step for step in _STEPS}

BACKENDS: dict[str, Backend] = {each.name: each for each in ADAPTERS}
BACKENDS |= {each.name: each for each in of_other_distributions({*BACKENDS, *STEPS})}
"""Every backend by name, those of other distributions last."""

CONVERTED = tuple(name for name in BACKENDS if name != REFERENCE)
"""Names of what is judged against the reference."""


def available() -> list[str]:
    """Names of the backends whose packages are installed; those of an extra may not be."""
    return [name for name in BACKENDS if not missing(name)]


def backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UserError: there is none; the sentence lists those there are.
    """
    if name not in BACKENDS:
        raise UserError(f"Unknown backend '{name}'; known: {', '.join(BACKENDS)}.")
    return BACKENDS[name]


def missing(name: str) -> str:
    """What is not installed that a backend needs, and how to get it; empty if it can be used."""
    found = backend(name)
    if found.broken:
        return f"{name} cannot be used: {found.broken}"
    absent = dict.fromkeys(
        package for package in _imports(found) if importlib.util.find_spec(package) is None
    )
    return f"{name} needs {needs(tuple(absent))}" if absent else ""


def _imports(maker: Backend) -> Iterator[str]:
    """Import names of what makes or runs it and whatever it is made from."""
    yield from (distribution.replace("-", "_") for distribution in maker.packages)
    for name in maker.needs:
        if before := STEPS.get(name) or BACKENDS.get(name):
            yield from _imports(before)


def implementation(maker: Backend) -> Implementation:
    """A backend's module, imported on first use.

    Raises:
        MissingDependency: a package that it needs is not installed.
    """
    if maker.broken:
        raise MissingDependency(f"{missing(maker.name)}.")
    try:
        return cast(Implementation, importlib.import_module(maker.module))
    except ModuleNotFoundError as error:
        absent = "" if error.name is None else error.name.split(".")[0]
        if absent in ("", "conversion"):
            raise
        told = "" if maker.name in STEPS else missing(maker.name)
        told = told or f"{maker.name} needs {needs((absent,))}"
        raise MissingDependency(f"Backend {told}.") from None
