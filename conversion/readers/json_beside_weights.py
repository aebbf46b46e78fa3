"""A description in JSON (`model.to_json()`) with its weights in an HDF5 file beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.core import digest
from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.spec import Spec
from conversion.readers.code_guard import refuse_code
from conversion.readers.legacy_h5 import read_weighted
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

ENDINGS = (".weights.h5", ".h5", ".hdf5", "_weights.h5")
"""Of the file of weights, after the stem of the description."""


def read(path: Path, content: bytes, custom: Custom) -> Spec:
    """Read a description and the weights beside it.

    Args:
        path: the description; the weights have its stem.
        content: the description's bytes.
        custom: the user's own layers.

    Returns:
        The spec; its digest is that of both files.

    Raises:
        UserError: there are no weights beside it or more than one file of them, or they do not fit.
    """
    return in_one_sentence(path, "a Keras model's JSON", lambda: _read(path, content, custom))


def _read(path: Path, content: bytes, custom: Custom) -> Spec:
    if b'"modelTopology"' in content:
        raise UserError(
            f"Expected a Keras model; {path.name} is of TensorFlow.js: pass the Keras file that "
            "it was converted from, or make one with tensorflowjs_converter "
            "--input_format=tfjs_layers_model --output_format=keras."
        )
    config = parsed(content, path.name)
    config = {key: value for key, value in config.items() if key != "compile_config"}
    config = replaced(config, custom.replaced, custom.layers)
    refuse_code(config, path.name, custom.layers)
    weights = _beside(path)
    stored = weights.read_bytes()
    return in_one_sentence(
        weights,
        "a Keras model's weights in HDF5",
        lambda: _with(config, content, weights, stored, custom),
    )


def _with(
    config: Mapping[str, Any], content: bytes, weights: Path, stored: bytes, custom: Custom
) -> Spec:
    version = json.loads(content).get("keras_version", "unknown")
    with hdf5(stored) as file:
        if "model_config" in file.attrs:
            raise UserError(f"{weights.name} holds a whole model, not weights alone: pass it.")
        old = "layer_names" in file.attrs or "layer_names0" in file.attrs
        version = file.attrs.get("keras_version", version) if old else version
        restated(config, text(version))
        if old:
            layers, inputs, outputs = read_weighted(config, weights.name, file, custom)
        else:
            layers, inputs, outputs = read_saved(config, weights.name, file, custom)
    return Spec(
        name=model_name(config),
        layers=layers,
        inputs=inputs,
        outputs=outputs,
        digest=digest.of_parts(digest.of_bytes(content), digest.of_bytes(stored)),
        keras_version=one_line(text(version)),
        suffix=".h5" if old else ".keras",
        weights_file=weights.name,
        custom=custom,
    )


def _beside(path: Path) -> Path:
    names = [f"{path.stem}{ending}" for ending in ENDINGS]
    found = [path.with_name(name) for name in names if path.with_name(name).is_file()]
    if len(found) != 1:
        there = " and ".join(each.name for each in found) or "none of them"
        raise UserError(
            f"Expected one file of weights beside {path.name} ({', '.join(names)}); there is "
            f"{there}."
        )
    return found[0]
