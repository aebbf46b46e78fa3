"""Keeps matrix products on one thread, where the images are shared out among threads already.

A product of an image is small, and two threads of a busy machine wait for each other at each one:
ten times as long for a MobileNet. NumPy has no switch for it, but the OpenBLAS that comes with it
has one. Where another library stands there its own threads stay, and only time is lost.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

MAPS = Path("/proc/self/maps")

NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}")
"""What OpenBLAS calls a function, by how it was built; the first two with integers of 64 bits."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Have NumPy's matrix products run on the thread that asks for them."""
    switches = [(change, count()) for count, change in _switches()]
    for change, _ in switches:
        change(1)
    try:
        yield
    finally:
        for change, before in switches:
            change(before)


@cache
def _switches() -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    """What asks for the threads of each OpenBLAS of this process, and what sets them."""
    found = []
    for path in _loaded():
        library = ctypes.CDLL(path)
        for name in NAMES:
            functions = [_function(library, name.format(f"{verb}_num_threads")) for verb in _VERBS]
            if all(functions):
                found.append((functions[0], functions[1]))
                break
    return tuple(found)


_VERBS = ("get", "set")


def _loaded() -> list[str]:
    """The files of OpenBLAS that are in this process; none where nobody says."""
    try:
        lines = MAPS.read_text().splitlines()
    except OSError:
        return []
    paths = dict.fromkeys(line.split(maxsplit=5)[-1] for line in lines if "openblas" in line)
    return [path for path in paths if Path(path).is_file()]


def _function(library: Any, name: str) -> Any:
    return getattr(library, name, None)
