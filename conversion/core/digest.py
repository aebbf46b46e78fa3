"""Full SHA-256 digests of what travels: bytes, files, arrays and settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


def of_bytes(content: bytes) -> str:
    """SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_arrays(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 over dtype, shape and content of arrays, in their order."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def of_settings(settings: Any) -> str:
    """SHA-256 of plain values in canonical JSON: the order of keys does not matter."""
    return of_bytes(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode())


def of_parts(*digests: str) -> str:
    """One digest of what lies in several files, from theirs, in order; of one file its own."""
    return digests[0] if len(digests) == 1 else of_settings(list(digests))
