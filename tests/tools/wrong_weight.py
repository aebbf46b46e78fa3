"""A `.keras` file in which one weight of a layer is off by a hundredth."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np


def with_one_weight_changed(path: Path, within: str) -> Path:
    """Write a copy beside the file.

    Args:
        path: the right file.
        within: begins the name of the group of a layer's weights.

    Returns:
        The copy: of the layer's first array the median by size is larger by 1 %.
    """
    wrong = path.with_name(f"wrong-{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(wrong, "w") as copied:
        for name in source.namelist():
            held = source.read(name)
            is_weights = name.endswith(".weights.h5")
            copied.writestr(name, _changed(held, within) if is_weights else held)
    return wrong


def _changed(held: bytes, within: str) -> bytes:
    file = io.BytesIO(held)
    with h5py.File(file, "r+") as weights:
        names = list[str]()
        weights.visit(names.append)
        own = [weights[each] for each in names if each.startswith(f"layers/{within}")]
        array = next(each for each in own if isinstance(each, h5py.Dataset))
        values = np.array(array[()])
        values.flat[np.argsort(np.abs(values), axis=None)[values.size // 2]] *= 1.01
        array[...] = values
    return file.getvalue()
