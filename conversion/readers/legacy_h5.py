"""Legacy `.h5` files of Keras 2 and Keras 3, read with h5py and JSON alone."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conversion import digest
from conversion.errors import UserError
from conversion.readers.code_guard import refuse_code
from conversion.readers.functional import read_layers
from conversion.readers.schema import LAYERS
from conversion.spec import Shape, Spec


def read(path: Path, content: bytes) -> Spec:
    """Read a legacy `.h5` file.

    Args:
        path: the file, for the sentences of errors.
        content: its bytes, the only thing that is read: the digest is theirs.

    Returns:
        The spec.

    Raises:
        UserError: the file does not hold a whole, supported and finite Keras model.
    """
    if content[:2] == b"PK":
        raise UserError(f"Expected HDF5 in {path.name}; it is a zip archive (rename it .keras).")
    try:
        file = h5py.File(io.BytesIO(content), "r")
    except OSError as error:
        reason = "the file is truncated" if "truncated" in str(error) else "it is not HDF5"
        raise UserError(f"Expected a Keras model in HDF5 at {path}; {reason}.") from None
    with file:
        try:
            return _read_open(path, content, file)
        except (OSError, RuntimeError, KeyError, UnicodeError) as error:
            # HDF5 reports damage inside a file in whichever of these its walk runs into.
            raise UserError(f"Expected a whole Keras model in {path}; HDF5 says {error}.") from None


def _read_open(path: Path, content: bytes, file: h5py.File) -> Spec:
    config = _model_config(path, file)
    refuse_code(config, path.name)
    if not isinstance(file.get("model_weights"), h5py.Group):
        raise UserError(f"Expected a group 'model_weights' in {path}; the file has none.")
    stored = _StoredWeights(path.name, file["model_weights"])
    layers, inputs, outputs = read_layers(config, stored.arrays)
    stored.refuse_unused({layer.name for layer in layers})
    inner = config["config"]
    version = file.attrs.get("keras_version", "unknown")
    return Spec(
        name=str(inner.get("name", "model")) if isinstance(inner, Mapping) else "model",
        layers=layers,
        inputs=inputs,
        outputs=outputs,
        digest=digest.of_bytes(content),
        keras_version=_text(version),
    )


def _model_config(path: Path, file: h5py.File) -> Mapping[str, Any]:
    raw = file.attrs.get("model_config")
    if raw is None:
        raise UserError(
            f"Expected a model in {path}; the HDF5 file has no 'model_config' "
            "(a file of weights alone does not say what the layers are)."
        )
    try:
        config = json.loads(_text(raw))
    except (ValueError, RecursionError, TypeError):
        raise UserError(f"Expected JSON in 'model_config' of {path}; it cannot be read.") from None
    if not isinstance(config, Mapping) or "config" not in config:
        raise UserError(f"Expected a model in 'model_config' of {path}; got {str(config)[:40]!r}.")
    return config


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _StoredWeights:
    """The group `model_weights`: arrays by layer and role, checked before they are trusted."""

    def __init__(self, file_name: str, group: h5py.Group) -> None:
        self._file_name = file_name
        self._group = group

    def arrays(
        self, layer: str, kind: str, expected: Mapping[str, Shape]
    ) -> Mapping[str, np.ndarray]:
        """The weights of a layer by role, in the order that Keras reads them.

        Raises:
            UserError: a weight is missing, left over, of another shape or type, out of order,
                behind a link, or not finite.
        """
        names = self._names(layer)
        aliases = LAYERS[kind].aliases
        roles = [_role(name, aliases) for name in names]
        if sorted(roles) != sorted(expected):
            wanted, found = ", ".join(expected) or "none", ", ".join(roles) or "none"
            raise UserError(
                f"{self._file_name}: layer '{layer}' ({kind}) should have the weights {wanted}; "
                f"the file has {found}."
            )
        if roles != list(expected):
            # Keras loads by position, so names in another order mean a swap that it cannot see.
            raise UserError(
                f"{self._file_name}: layer '{layer}' ({kind}) lists its weights as "
                f"{', '.join(roles)}; Keras reads them as {', '.join(expected)}."
            )
        group = self._group[layer] if names else None
        return {
            role: self._array(group, name, f"{layer}/{role}", expected[role])
            for role, name in zip(roles, names, strict=True)
        }

    def refuse_unused(self, layers: set[str]) -> None:
        """Refuse weights that belong to no layer of the model.

        Raises:
            UserError: a layer of the file that the model does not have holds weights.
        """
        for name in map(_text, self._group.attrs.get("layer_names", ())):
            if name not in layers and self._names(name):
                raise UserError(
                    f"{self._file_name} stores weights for '{name}', a layer that the model lacks."
                )

    def _names(self, layer: str) -> list[str]:
        group = self._group.get(layer)
        if not isinstance(group, h5py.Group):
            return []
        return [_text(name) for name in group.attrs.get("weight_names", ())]

    def _array(self, group: h5py.Group, name: str, label: str, shape: Shape) -> np.ndarray:
        where = f"{self._file_name}: weight '{label}'"
        link = group.get(name, getlink=True) if name in group else None
        dataset = group.get(name) if isinstance(link, h5py.HardLink) else None
        if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
            raise UserError(f"{where} is missing from the file (or lies behind a link).")
        if dataset.shape != shape:  # before reading: a false shape may ask for terabytes
            raise UserError(f"{where} should have the shape {shape}; the file has {dataset.shape}.")
        if dataset.dtype.kind != "f" or dataset.dtype.itemsize < 4:
            raise UserError(f"{where} should be float32; the file has {dataset.dtype}.")
        array = np.asarray(dataset[()], dtype=np.float32)
        if not np.isfinite(array).all():
            count = int(np.count_nonzero(~np.isfinite(array)))
            raise UserError(f"{where} should be finite; {count} of {array.size} are NaN or Inf.")
        if label.endswith("/moving_variance") and (array < 0).any():
            raise UserError(f"{where} should not be negative; its least value is {array.min()}.")
        return array


def _role(name: str, aliases: Mapping[str, str]) -> str:
    last = name.rsplit("/", 1)[-1].split(":", 1)[0]
    return aliases.get(last, last)
