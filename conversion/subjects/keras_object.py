"""A Keras model that the caller holds in memory, as the file that everything else reads."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from conversion.core.errors import UserError

METADATA, CONFIG = "metadata.json", "config.json"

SHARED = re.compile(r'"shared_object_id": (\d+)')
"""An object that several layers have, by its address in the process that saved the model."""


class KerasObject(Protocol):
    """A `keras.Model`, as far as it is looked at here."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def save(self) -> Callable[..., Any]:
        """Writes the model to a path."""
        ...


Model = str | Path | KerasObject
"""A subject's name, the path of a Keras file, or a Keras model in memory."""


@contextmanager
def as_file(given: Model) -> Iterator[str]:
    """What names a model as it is, and a model in memory as a file of its name.

    Args:
        given: a subject's name or a path, or a `keras.Model`, which is saved to a folder that
            lives as long as the context.

    Raises:
        UserError: it is neither, or Keras cannot save it.
    """
    if isinstance(given, str | Path):
        yield str(given)
        return
    if not _is_keras_model(given):
        raise UserError(
            "Expected a subject's name, the path of a Keras file or a keras.Model; got "
            f"{type(given).__name__}."
        )
    with tempfile.TemporaryDirectory(prefix="conversion-model-") as folder:
        path = Path(folder) / f"{given.name}.keras"
        try:
            given.save(path)
        except Exception as error:  # a layer's own get_config may raise anything
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(
                f"Expected a model that Keras can save; saving '{given.name}' raises "
                f"{type(error).__name__}: {reason}"
            ) from error
        forget_when(path)
        yield str(path)


def _is_keras_model(given: object) -> bool:
    """Whether it is one by the names of its classes: Keras is not imported to find out."""
    kinds = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(given).__mro__}
    return ("keras", "Model") in kinds


def forget_when(path: Path) -> None:
    """Take time and addresses of saving out of an archive: one model is one digest in the store."""
    dated = path.with_name("dated.zip")
    path.rename(dated)
    with zipfile.ZipFile(dated) as archive, zipfile.ZipFile(path, "w") as plain:
        for name in archive.namelist():
            content = archive.read(name)
            if name == METADATA:
                known = json.loads(content)
                known.pop("date_saved", None)
                content = json.dumps(known).encode()
            if name == CONFIG:
                content = _numbered(content.decode()).encode()
            plain.writestr(zipfile.ZipInfo(name), content)  # dated 1980, as Keras's own are


def _numbered(text: str) -> str:
    """A description whose shared objects are numbered in the order in which they appear."""
    numbers: dict[str, int] = {}
    return SHARED.sub(
        lambda found: f'"shared_object_id": {numbers.setdefault(found[1], len(numbers) + 1)}', text
    )
