"""Images from arrays under Keras's names, of an `.npz` file or in memory, labelled or not."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.errors import UserError
from conversion.subjects.dataset import Dataset, dataset_of

TEST_KEYS = (("x_test", "y_test"), ("x", "y"))
TRAIN_KEYS = ("x_train", "y_train")
KEYS_SHOWN = 8


def read_npz(path: Path, labelled: bool = True) -> tuple[Dataset | None, Dataset]:
    """Read a file with `x_test`, `y_test` and perhaps `x_train`, `y_train`, or with `x`, `y`.

    Args:
        path: the file; labels may be absent, ``(N,)``, ``(N, 1)`` or one-hot.
        labelled: whether labels are looked at.

    Returns:
        The training set, None where the file has none, and the test set.

    Raises:
        UserError: the file is empty, truncated, no `.npz`, lacks the keys, or holds pickles.
    """
    kind = "Expected an .npz file of arrays or a folder of images"
    if path.stat().st_size == 0:
        raise UserError(f"{kind}; {path} is empty.")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{kind}; {path} is neither, or is cut off: write it with numpy.savez.")
    try:
        return _read(path, labelled)
    except UserError:
        raise
    except Exception as error:  # zip, zlib and numpy raise a dozen kinds for a damaged archive
        if "allow_pickle" in str(error):
            raise UserError(
                f"Expected plain arrays; {path} holds pickled objects, which can run code and are "
                "never opened: store images and labels as numbers."
            ) from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{kind}; {path} is damaged ({reason}): write it again.") from error


def _read(path: Path, labelled: bool) -> tuple[Dataset | None, Dataset]:
    # A file of ours: on a damaged one, np.load would leave its own open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return read_arrays(archive, str(path), path.name, labelled)


def read_arrays(
    found: Mapping[str, Any], where: str, source: str, labelled: bool = True
) -> tuple[Dataset | None, Dataset]:
    """Read a mapping with `x_test`, `y_test` and perhaps `x_train`, `y_train`, or with `x`, `y`.

    Args:
        found: name to array; labels may be absent, ``(N,)``, ``(N, 1)`` or one-hot.
        where: what the sentence of an error calls it.
        source: what the data sets state as their source.
        labelled: whether labels are looked at.

    Returns:
        The training set, None where there is none, and the test set; arrays that have the right
        dtype are not copied.

    Raises:
        UserError: it lacks the keys, or what it holds is no array of images or labels.
    """
    test_keys = next((keys for keys in TEST_KEYS if keys[0] in found), None)
    if test_keys is None:
        named = [str(name) for name in found]
        shown = ", ".join(named[:KEYS_SHOWN]) + (", ..." if len(named) > KEYS_SHOWN else "")
        raise UserError(
            "Expected the arrays x_test and y_test (with x_train and y_train, if any), or x and y; "
            f"{where} has: {shown or 'none'}."
        )

    def array(key: str) -> np.ndarray:
        member = found[key]
        if not isinstance(member, np.ndarray):  # numpy hands over the bytes of any other file
            raise UserError(f"Expected an array named {key}; {where} has another file there.")
        return member

    def pair(images: str, labels: str) -> Dataset:
        found_labels = array(labels) if labelled and labels in found else None
        return dataset_of(array(images), found_labels, f"{source}, {images}")

    return (pair(*TRAIN_KEYS) if TRAIN_KEYS[0] in found else None), pair(*test_keys)
