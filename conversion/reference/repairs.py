"""Settings of older Keras that today's Keras refuses, and that can be left out without a change."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

CONFIG = "model_config"
"""The attribute of a legacy `.h5` file that describes the model in JSON."""


@dataclass(frozen=True)
class Repair:
    """A setting that is left out of a file's description before Keras opens it.

    Attributes:
        kind: the class of the layers that have it.
        key: the setting.
        value: the only value with which it is left out; with any other the file stays as it is,
            and Keras refuses it.
        reason: why the arithmetic cannot change.
    """

    kind: str
    key: str
    value: Any
    reason: str


REPAIRS = (
    Repair(
        "DepthwiseConv2D",
        "groups",
        1,
        "Keras 2 wrote the setting of the parent class, whose value 1 it never read",
    ),
)
"""Every repair; a new one is one entry."""


def repairs(path: Path) -> list[str]:
    """What has to be left out for Keras to open a file, in words; no framework is imported.

    Args:
        path: a model file that the reader has accepted.
    """
    found = _config(path)
    return [] if found is None else _repaired(found)[1]


@contextmanager
def repaired(path: Path) -> Iterator[Path]:
    """The file as Keras can open it: itself, or a copy with a repaired description.

    The weights are copied byte by byte; only the description is written anew.
    """
    found = _config(path)
    config, made = (None, []) if found is None else _repaired(found)
    if not made:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            file.attrs[CONFIG] = json.dumps(config)
        yield copy


def _config(path: Path) -> Any:
    if not h5py.is_hdf5(path):
        return None
    with h5py.File(path, "r") as file:
        stored = file.attrs.get(CONFIG)
    return None if stored is None else json.loads(stored)


def _repaired(value: Any) -> tuple[Any, list[str]]:
    """A description without what has to be left out, at any depth, and what that was."""
    made: list[str] = []

    def walk(part: Any) -> Any:
        if isinstance(part, list):
            return [walk(each) for each in part]
        if not isinstance(part, dict):
            return part
        kept = {key: walk(each) for key, each in part.items()}
        config = kept.get("config")
        for repair in REPAIRS:
            if kept.get("class_name") != repair.kind or not isinstance(config, dict):
                continue
            given = config.get(repair.key)
            if type(given) is type(repair.value) and given == repair.value:
                del config[repair.key]
                name = config.get("name", repair.kind)
                made.append(f"{name}: {repair.key}={repair.value} left out: {repair.reason}")
        return kept

    return walk(value), made
