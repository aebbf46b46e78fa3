"""Model files to specs, chosen by what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.spec import Spec
from conversion.readers import json_beside_weights, keras_archive, legacy_h5

Reader = Callable[[Path, bytes, Custom], Spec]

FIRST_BYTES: dict[bytes, Reader] = {
    b"\x89HDF\r\n\x1a\n": legacy_h5.read,
    b"PK\x03\x04": keras_archive.read,
}
"""How a file begins, to the function that reads such a file, whatever its name ends in: TensorFlow
up to 2.11 wrote HDF5 under any name, ``.keras`` too."""

READERS: dict[str, Reader] = {
    ".h5": legacy_h5.read,
    ".hdf5": legacy_h5.read,
    ".keras": keras_archive.read,
    ".json": json_beside_weights.read,
}
"""The same by its ending, where it begins otherwise: it is described or damaged."""


def read_spec(path: str | Path, custom: Custom | None = None) -> Spec:
    """Read a Keras model file without TensorFlow.

    Args:
        path: a legacy HDF5 file of Keras 2 or Keras 3, a `.keras` archive, under any ending, or a
            `.json` with its weights in an `.h5` file of the same stem beside it.
        custom: the user's own layers; none by default.

    Returns:
        The spec: layers in order, settings, connections and weights.

    Raises:
        UserError: the file is missing, empty, truncated or of another format; a layer is not
            supported or can carry code; a weight is missing, of the wrong shape, or not finite.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"Expected a Keras model file at {path}; there is none.")
    if (path / "saved_model.pb").exists() or path.suffix == ".pb":
        raise UserError(
            f"Expected a Keras model file; {path.name} is a TensorFlow SavedModel, a program "
            "without a list of layers: where it was made, save the Keras model itself with "
            "model.save('name.keras') (or 'name.h5'); keras.models.load_model of TensorFlow 2.15 "
            "or older, or of the package tf_keras, still opens the folder."
        )
    if not path.is_file():
        raise UserError(f"Expected a Keras model file at {path}; it is not a file.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"Expected a Keras model file at {path}; {error.strerror}.") from error
    if not content:
        raise UserError(f"Expected a Keras model file at {path}; the file is empty.")
    begun = (read for first, read in FIRST_BYTES.items() if content.startswith(first))
    reader = next(begun, READERS.get(path.suffix.lower()))
    if reader is None:
        raise UserError(
            f"Expected a Keras model file ({', '.join(READERS)}, or any name with their content); "
            f"{path.name} is none: save the model with model.save('name.keras')."
        )
    return reader(path, content, custom or Custom())
