"""What every reader does alike: open HDF5 from bytes, parse JSON, say damage in one sentence."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import h5py

from conversion.core.errors import UserError
from conversion.readers.hdf5_guard import refuse_endless_heaps

Result = TypeVar("Result")


@contextmanager
def hdf5(content: bytes) -> Iterator[h5py.File]:
    """An HDF5 file from its bytes.

    Raises:
        UserError: reading it might never end.
    """
    refuse_endless_heaps(content)
    with h5py.File(io.BytesIO(content), "r") as file:
        yield file


def in_one_sentence(path: Path, kind: str, read: Callable[[], Result]) -> Result:
    """What a function reads; whatever it raises becomes one sentence that names the file.

    Args:
        path: the file, for the sentence.
        kind: what was expected there, such as ``a Keras model in HDF5``.
        read: may raise anything.

    Raises:
        UserError: it raised.
    """
    try:
        return read()
    except UserError as error:
        sentence = one_line(str(error))
        named = path.name in sentence
        raise type(error)(sentence if named else f"{path.name}: {sentence}") from error
    except Exception as error:  # h5py and zipfile raise a dozen kinds for a damaged file
        raise UserError(f"Expected {kind} at {path}; {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    said = one_line(str(error))[:200]
    if "truncated" in said:
        return "the file is truncated"
    if "signature not found" in said:
        return "it is not HDF5"
    return f"it is damaged ({said or type(error).__name__})"


def parsed(raw: Any, where: str) -> Mapping[str, Any]:
    """A model's description from its JSON.

    Args:
        raw: text or bytes.
        where: what to call it in an error.

    Raises:
        UserError: it is no JSON, or describes no model.
    """
    try:
        config = json.loads(text(raw))
    except (ValueError, RecursionError, TypeError):
        raise UserError(f"Expected JSON in {where}; it cannot be read.") from None
    if not isinstance(config, Mapping) or "config" not in config:
        raise UserError(f"Expected a model in {where}; got {str(config)[:40]!r}.")
    return config


def text(value: Any) -> str:
    """Text of bytes or of anything else."""
    return value.decode() if isinstance(value, bytes) else str(value)


def one_line(words: str) -> str:
    """The words on one line, what cannot be printed escaped."""
    joined = " ".join(words.split())
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in joined)


def model_name(config: Mapping[str, Any]) -> str:
    """The model's own name."""
    inner = config["config"]
    return one_line(text(inner.get("name", "model") if isinstance(inner, Mapping) else "model"))
