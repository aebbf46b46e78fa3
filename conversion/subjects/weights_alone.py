"""Weights alone, made a whole model by a function of the user's that builds it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.user_code import BUILDER
from conversion.readers.parsing import hdf5, in_one_sentence
from conversion.reference import Reference
from conversion.subjects.keras_object import forget_when


@contextmanager
def whole(model: str, custom: Custom, reference: Reference) -> Iterator[str]:
    """A model as it is, or, where it is weights alone, a file of what is built with them.

    Args:
        model: a subject's name or a path.
        custom: the user's files, of which one may have a function `BUILDER`.
        reference: the process that builds; it is not started where there is nothing to build.

    Yields:
        The model, or a file that lives as long as the context.

    Raises:
        UserError: a function builds a model and the file holds one too, or two functions do; the
            function returns no model; the weights do not fit it.
    """
    builders = [file for file in custom.files if file.builds]
    path = Path(model)
    if not builders or not path.is_file():
        yield model
        return
    if len(builders) > 1:
        names = " and ".join(file.path.name for file in builders)
        raise UserError(f"Expected one --custom file with a function {BUILDER}(); {names} have it.")
    if not _is_weights_alone(path):
        raise UserError(
            f"Expected weights alone beside {builders[0].path.name}, whose {BUILDER}() builds a "
            f"model; {path.name} holds a model itself: leave one of them out."
        )
    with tempfile.TemporaryDirectory(prefix="conversion-model-") as folder:
        target = Path(folder) / f"{path.stem}.keras"
        reference.build(builders[0], custom.files, path, target)
        forget_when(target)
        yield str(target)


def _is_weights_alone(path: Path) -> bool:
    """Whether a file is HDF5 without a description of a model."""
    content = path.read_bytes()
    if not content.startswith(b"\x89HDF\r\n\x1a\n"):
        return False

    def described() -> bool:
        with hdf5(content) as file:
            return "model_config" in file.attrs

    return not in_one_sentence(path, "weights in HDF5", described)
