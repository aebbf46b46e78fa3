"""A description and a file of weights as the one file in which Keras keeps such a model."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import h5py

CONFIG = "model_config"
"""The attribute of a legacy `.h5` file that describes the model in JSON."""

DESCRIPTION, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""The members of a `.keras` archive."""


def described(path: Path) -> str | None:
    """A model's description in JSON; None where the file has none.

    Args:
        path: a `.h5` file, a `.keras` archive, or a description itself.
    """
    if path.suffix.lower() == ".json":
        return path.read_text()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found = DESCRIPTION in archive.namelist()
            return archive.read(DESCRIPTION).decode() if found else None
    if not h5py.is_hdf5(path):
        return None
    with h5py.File(path, "r") as file:
        stored = file.attrs.get(CONFIG)
    return stored.decode() if isinstance(stored, bytes) else stored


def pack(description: str, source: Path, folder: Path) -> Path:
    """Write a file that Keras opens.

    The weights are copied byte by byte; only the description is rewritten.

    Args:
        description: in JSON.
        source: a whole model, or its weights alone, in HDF5 or a `.keras` archive.
        folder: where the file goes.

    Returns:
        The file, with the ending by which Keras knows its format.
    """
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            return _archive(description, archive.read(WEIGHTS), folder)
    if not _legacy(source):
        return _archive(description, source.read_bytes(), folder)
    target = folder / "model.h5"
    shutil.copyfile(source, target)
    with h5py.File(target, "r+") as file:
        if CONFIG not in file.attrs:  # weights alone: what Keras keeps in a group lies at the root
            names = list(file)
            group = file.create_group("model_weights")
            for name in names:
                file.move(name, f"model_weights/{name}")
            for key, value in file.attrs.items():
                group.attrs[key] = value
        file.attrs[CONFIG] = description
    return target


def _legacy(path: Path) -> bool:
    with h5py.File(path, "r") as file:
        return any(key in file.attrs for key in (CONFIG, "layer_names", "layer_names0"))


def _archive(description: str, weights: bytes, folder: Path) -> Path:
    target = folder / "model.keras"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(METADATA, json.dumps({"keras_version": "unknown"}))
        archive.writestr(DESCRIPTION, description)
        archive.writestr(WEIGHTS, weights)
    return target
