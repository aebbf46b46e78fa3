"""A description and a file of weights as the one file in which Keras keeps such a model."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from conversion.readers.saved_weights import UNREAD, Stored, owner, places, stored

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


def is_named_otherwise(path: Path) -> bool:
    """Whether a file's ending is not the one by which Keras knows its format."""
    endings = (".keras",) if zipfile.is_zipfile(path) else (".h5", ".hdf5")
    return path.suffix.lower() not in endings


def is_laid_out_otherwise(path: Path) -> bool:
    """Whether a `.keras` archive has its weights where Keras 3 does not look for them."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        config, weights = json.loads(archive.read(DESCRIPTION)), archive.read(WEIGHTS)
    with h5py.File(io.BytesIO(weights), "r") as file:
        return not _is_laid_out(stored(config, file, WEIGHTS), places(config))


def pack(description: str, source: Path, folder: Path) -> Path:
    """Write a file that Keras opens.

    The weights are copied byte by byte, or array by array where Keras 3 looks for them elsewhere;
    the description is rewritten.

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
    if not is_legacy(source):
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


def is_legacy(path: Path) -> bool:
    """Whether a file is HDF5, with weights as Keras 2 writes them."""
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return any(key in file.attrs for key in (CONFIG, "layer_names", "layer_names0"))


def weight_names(path: Path) -> set[str]:
    """Names of the arrays in weights of Keras 3, without those that only training reads."""
    found: set[str] = set()

    def note(name: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset) and {*UNREAD}.isdisjoint(name.split("/")):
            found.add(name)

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


def _is_laid_out(found: Stored, wanted: Mapping[tuple[str, ...], str]) -> bool:
    """Whether all weights are where Keras 3 looks for them."""
    return found.places == wanted and all(name == own for name, own in found.names.items())


def _laid_out(config: Mapping[str, Any], weights: bytes) -> bytes:
    """Weights of Keras 2.12 to 2.15 where Keras 3 looks for them; the same bytes if they are there.

    Which is whose is what the reader found out; every array is copied as it is.
    """
    beside = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as file:
        found, wanted = stored(config, file, WEIGHTS), places(config)
        if _is_laid_out(found, wanted):
            return weights
        layers = {place: path for path, place in found.places.items()}
        with h5py.File(beside, "w") as target:
            for name, own in found.names.items():
                place = owner(name, layers)
                if place is not None and isinstance(file[own], h5py.Dataset):
                    target[f"{wanted[layers[place]]}{name.removeprefix(place)}"] = file[own][()]
    return beside.getvalue()


def _archive(description: str, weights: bytes, folder: Path) -> Path:
    weights = _laid_out(json.loads(description), weights)
    target = folder / "model.keras"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(METADATA, json.dumps({"keras_version": "unknown"}))
        archive.writestr(DESCRIPTION, description)
        archive.writestr(WEIGHTS, weights)
    return target
