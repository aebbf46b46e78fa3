"""Legacy `.h5` files of Keras 2 and Keras 3, read with h5py and JSON alone."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conversion import digest
from conversion.errors import UserError
from conversion.readers.code_guard import refuse_code
from conversion.readers.functional import read_layers
from conversion.readers.heaps import refuse_endless_heaps
from conversion.readers.schema import LAYERS
from conversion.spec import Shape, Spec

MOST_COMPRESSED = 1100
"""No filter of HDF5 packs more bytes into one: deflate's limit is 1,032."""


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
        refuse_endless_heaps(content)
        with h5py.File(io.BytesIO(content), "r") as file:
            return _read_open(path, content, file)
    except UserError as error:
        sentence = _one_line(str(error))
        named = path.name in sentence
        raise UserError(sentence if named else f"{path.name}: {sentence}") from error
    except Exception as error:  # h5py raises a dozen kinds for a damaged file
        raise UserError(f"Expected a Keras model in HDF5 at {path}; {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    said = _one_line(str(error))[:200]
    if "truncated" in said:
        return "the file is truncated"
    if "signature not found" in said:
        return "it is not HDF5"
    return f"it is damaged ({said or type(error).__name__})"


def _read_open(path: Path, content: bytes, file: h5py.File) -> Spec:
    config = _model_config(path, file)
    refuse_code(config, path.name)
    group = _behind_hard_links(file, "model_weights")
    if not isinstance(group, h5py.Group):
        raise UserError(f"Expected a group 'model_weights' in {path}; the file has none.")
    stored = _StoredWeights(path.name, group)
    layers, inputs, outputs = read_layers(config, stored.arrays)
    inner = config["config"]
    written = inner["layers"] if isinstance(inner, Mapping) else inner
    weighted = {layer.name for layer in layers if layer.weights}
    order = [entry["config"]["name"] for entry in written]
    stored.check_layers([name for name in order if name in weighted])
    name = inner.get("name", "model") if isinstance(inner, Mapping) else "model"
    return Spec(
        name=_one_line(_text(name)),
        layers=layers,
        inputs=inputs,
        outputs=outputs,
        digest=digest.of_bytes(content),
        keras_version=_one_line(_text(file.attrs.get("keras_version", "unknown"))),
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


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)


def _behind_hard_links(group: h5py.Group, path: str) -> Any:
    """What lies at a path; None where a part is missing or is a soft or external link."""
    found: Any = group
    for part in path.encode().split(b"/"):
        links = found.id.links if isinstance(found, h5py.Group) else None
        if links is None or not part or not links.exists(part):
            return None
        if links.get_info(part).type != h5py.h5l.TYPE_HARD:
            return None
        found = found[part]
    return found


def _listed(group: h5py.Group, key: str) -> list[str]:
    """Names in an attribute; Keras spreads a long list over `key0`, `key1` and so on."""
    attributes = group.attrs
    parts = takewhile(attributes.__contains__, (f"{key}{number}" for number in count()))
    keys = [key] if key in attributes else parts
    return [_text(name) for part in keys for name in attributes[part]]


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
        return {
            role: self._array(f"{layer}/{name}", f"{layer}/{role}", expected[role])
            for role, name in zip(roles, names, strict=True)
        }

    def check_layers(self, expected: Sequence[str]) -> None:
        """Refuse a list of layers with weights that is not the model's.

        Args:
            expected: the layers that have weights, in the order of the configuration.

        Raises:
            UserError: the file lists one more, one less, or another order; Keras reads layers by
                their position in this list.
        """
        found = [name for name in _listed(self._group, "layer_names") if self._names(name)]
        for name in found:
            if name not in expected:
                raise UserError(
                    f"{self._file_name} stores weights for '{name}', a layer that the model lacks."
                )
        for position, name in enumerate(expected):
            if found[position : position + 1] != [name]:
                listed = found[position] if position < len(found) else "nothing"
                raise UserError(
                    f"{self._file_name}: 'layer_names' should list '{name}' as number "
                    f"{position + 1} of the layers with weights; it lists {listed}."
                )

    def _names(self, layer: str) -> list[str]:
        group = _behind_hard_links(self._group, layer)
        return _listed(group, "weight_names") if isinstance(group, h5py.Group) else []

    def _array(self, path: str, label: str, shape: Shape) -> np.ndarray:
        where = f"{self._file_name}: weight '{label}'"
        dataset = _behind_hard_links(self._group, path)
        if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
            raise UserError(f"{where} is missing from the file (or lies behind a link).")
        if dataset.shape != shape:  # before reading: a false shape may ask for terabytes
            raise UserError(f"{where} should have the shape {shape}; the file has {dataset.shape}.")
        if dataset.dtype.kind != "f" or dataset.dtype.itemsize < 4:
            raise UserError(f"{where} should be float32; the file has {dataset.dtype}.")
        stored = dataset.id.get_storage_size()
        if dataset.nbytes > MOST_COMPRESSED * stored:
            raise UserError(
                f"{where} should hold {dataset.nbytes} bytes; the file has {stored} for it."
            )
        with np.errstate(over="ignore"):  # what overflows is Inf, and that is refused by name
            array = np.asarray(dataset[()], dtype=np.float32)
        if not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array)))
            raise UserError(f"{where} should be finite; {bad} of {array.size} are NaN or Inf.")
        if label.endswith("/moving_variance") and (array < 0).any():
            raise UserError(f"{where} should not be negative; its least value is {array.min()}.")
        return array


def _role(name: str, aliases: Mapping[str, str]) -> str:
    last = name.rsplit("/", 1)[-1].split(":", 1)[0]
    return aliases.get(last, last)
