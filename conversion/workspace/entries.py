"""What a workspace keeps between runs: under which key, and as which arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.artifact import Entry, Store
from conversion.core.code import code_digest
from conversion.core.spec import Spec

Build = Callable[[Path], Mapping[str, Any]]
"""Fills a folder and returns the provenance of what is in it."""


def kept(
    store: Store,
    spec: Spec,
    kind: str,
    key: Mapping[str, Any],
    packages: Iterable[str],
    build: Build,
    makers: tuple[str, str],
) -> Entry:
    """An entry of the store, under a key with the user's layers and the code that makes it.

    Args:
        store: where it is kept.
        spec: the model that it belongs to.
        kind: what it is, a stable word.
        key: plain values that it depends on.
        packages: distributions that it depends on.
        build: makes it where it is not there yet.
        makers: the module that computes it, and the workspace's that says from what.
    """
    computing, stating = makers
    # The spec is as the readers made it.
    code = code_digest(computing, "conversion.readers", alone=(__name__, stating))
    return store.obtain(kind, {**key, "custom": spec.custom.provenance}, packages, build, code)


def save_outputs(path: Path, arrays: Mapping[str, np.ndarray], spec: Spec) -> None:
    """Save arrays by the number of the output: a layer's name may not be a file's name."""
    numbered: dict[str, Any] = {str(i): arrays[name] for i, name in enumerate(spec.outputs)}
    np.savez(path, **numbered)


def load_outputs(path: Path, spec: Spec) -> dict[str, np.ndarray]:
    """What `save_outputs` saved, by the outputs' names."""
    with np.load(path, allow_pickle=False) as content:
        return {name: content[str(index)] for index, name in enumerate(spec.outputs)}
