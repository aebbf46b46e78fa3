"""Backends that other distributions bring, through the entry point group `conversion.backends`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

from conversion.backends.backend import Backend

GROUP = "conversion.backends"


def of_other_distributions(known: Collection[str]) -> Iterator[Backend]:
    """Every installed backend of another distribution, its distribution among its packages.

    One that cannot be loaded is there too, under the name of its entry point, with the reason: it
    stops nobody who does not ask for it.

    Args:
        known: names that are taken.
    """
    taken = set(known)
    for point in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        owner = point.dist.name if point.dist else point.module
        found = _loaded(point, owner)
        if found.name in taken:
            found = _broken(f"{found.name}@{owner}", f"the name '{found.name}' is taken")
        if found.name not in taken:
            taken.add(found.name)
            yield found


def _loaded(point: EntryPoint, owner: str) -> Backend:
    try:
        found = point.load()
    except Exception as error:  # foreign code: it may raise anything, and must not end our run
        sentence = " ".join(f"{type(error).__name__}: {error}".split())
        return _broken(point.name, f"{owner} could not be loaded: {sentence}")
    if not isinstance(found, Backend):
        wanted = f"{point.value} of {owner} must be a conversion.backends.Backend"
        return _broken(point.name, f"{wanted}; it is a {type(found).__name__}")
    return replace(found, packages=tuple(dict.fromkeys((*found.packages, owner))))


def _broken(name: str, reason: str) -> Backend:
    return Backend(name, module="", broken=reason)
