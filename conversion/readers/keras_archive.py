"""`.keras` archives of Keras 3, read with zipfile, h5py and JSON alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

from conversion.core import digest
from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.spec import Spec
from conversion.readers.arrays import MOST_COMPRESSED
from conversion.readers.code_guard import refuse_code
from conversion.readers.older_versions import restated
from conversion.readers.parsing import (
    hdf5,
    in_one_sentence,
    model_name,
    one_line,
    parsed,
    text,
)
from conversion.readers.replacing import replaced
from conversion.readers.saved_weights import read_saved

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MEMBERS = (CONFIG, METADATA, WEIGHTS)

MOST_TEXT = 1 << 26
"""Bytes of a description; that of the largest model of keras.applications has under 2 million."""

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1


def read(path: Path, content: bytes, custom: Custom) -> Spec:
    """Read a `.keras` archive.

    Args:
        path: the file, for the sentences of errors.
        content: its bytes, the only thing that is read: the digest is theirs.
        custom: the user's own layers.

    Returns:
        The spec.

    Raises:
        UserError: the file does not hold a whole, supported and finite Keras model, or is a zip
            that Keras did not write.
    """
    return in_one_sentence(path, "a Keras archive", lambda: _read(path, content, custom))


def _read(path: Path, content: bytes, custom: Custom) -> Spec:
    members = _members(path.name, content)
    config = parsed(members[CONFIG], f"'{CONFIG}' of {path.name}")
    config = {key: value for key, value in config.items() if key != "compile_config"}
    config = replaced(config, custom.replaced, custom.layers)
    refuse_code(config, path.name, custom.layers)  # what only training needs is never built
    version = one_line(
        text(json.loads(members.get(METADATA, b"{}")).get("keras_version", "unknown"))
    )
    restated(config, version)
    with hdf5(members[WEIGHTS]) as file:
        layers, inputs, outputs = read_saved(config, path.name, file, custom)
    return Spec(
        name=model_name(config),
        layers=layers,
        inputs=inputs,
        outputs=outputs,
        digest=digest.of_bytes(content),
        keras_version=version,
        suffix=".keras",
        custom=custom,
    )


def _members(name: str, content: bytes) -> dict[str, bytes]:
    """The files of an archive, once nothing about it is odd.

    Raises:
        UserError: it has other files than Keras writes, one twice, one that lies outside, one that
            is encrypted, or one that grows beyond what its bytes can hold.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        listed = archive.infolist()
        for member, times in Counter(info.filename for info in listed).items():
            parts = PurePosixPath(member.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts:
                raise UserError(f"{name}: '{member}' would lie outside of the archive.")
            if member not in MEMBERS:
                raise UserError(
                    f"{name}: '{member}' is not read here; a Keras archive of a model without "
                    f"vocabularies holds {', '.join(MEMBERS)}."
                )
            if times > 1:
                raise UserError(f"{name}: '{member}' is in the archive {times} times.")
        for info in listed:
            if info.flag_bits & ENCRYPTED:
                raise UserError(f"{name}: '{info.filename}' is encrypted.")
            if info.compress_type not in PACKINGS:
                raise UserError(f"{name}: '{info.filename}' is packed in a way Keras does not use.")
            most = MOST_COMPRESSED * max(info.compress_size, 1)
            most = most if info.filename == WEIGHTS else min(most, MOST_TEXT)
            if info.file_size > most:
                raise UserError(
                    f"{name}: '{info.filename}' says it has {info.file_size} bytes; at most {most} "
                    "are believed."
                )
        for member in (CONFIG, WEIGHTS):
            if all(info.filename != member for info in listed):
                raise UserError(
                    f"{name}: '{member}' is missing; save it with model.save('name.keras')."
                )
        return {info.filename: archive.read(info) for info in listed}
