"""Model files to specs, chosen by the file's ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.spec import Spec
from conversion.readers import json_beside_weights, keras_archive, legacy_h5

READERS: dict[str, Callable[[Path, bytes, Custom], Spec]] = {
    ".h5": legacy_h5.read,
    ".hdf5": legacy_h5.read,
    ".keras": keras_archive.read,
    ".json": json_beside_weights.read,
}
"""File ending to the function that reads such a file."""


def read_spec(path: str | Path, custom: Custom | None = None) -> Spec:
    """Read a Keras model file without TensorFlow.

    Args:
        path: a legacy `.h5` file of Keras 2 or Keras 3, a `.keras` archive, or a `.json` with its
            weights in an `.h5` file of the same stem beside it.
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
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise UserError(
            f"Expected a Keras model file ending in {known}; got {path.name}. "
            "Save it with model.save('name.keras') or model.save('name.h5')."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"Expected a Keras model file at {path}; {error.strerror}.") from error
    if not content:
        raise UserError(f"Expected a Keras model file at {path}; the file is empty.")
    return reader(path, content, custom or Custom())
