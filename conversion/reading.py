"""A model file of anybody's, read where damage that crashes or hangs HDF5 is survived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conversion import custom
from conversion.core.channel import Message
from conversion.core.custom_layers import Custom
from conversion.core.guarded import one_job
from conversion.core.spec import Layer, Spec
from conversion.readers import read_spec


def read_guarded(path: Path, own: Custom | None = None) -> Spec:
    """Read a Keras model file in a child process.

    Args:
        path: as `read_spec` takes it.
        own: the user's own layers; none by default.

    Raises:
        UserError: as `read_spec`, or reading crashes or does not end.
    """
    known = own or Custom()
    about = "a whole Keras model file"
    return spec_of(one_job(about, path, f"{__name__}:read", stated(known)), known)


def read(held: Mapping[str, object], message: Message) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job: the spec of a file, as it travels."""
    found = read_spec(Path(message.values["path"]), custom_of(message))
    return described(found, weights=True)


def stated(own: Custom) -> dict[str, Any]:
    """A user's own layers, and those in place of others, as plain values."""
    return {"custom": [str(file.path) for file in own.files], "replaced": dict(own.replaced)}


def custom_of(message: Message) -> Custom:
    """The layers that `stated` stated, read again from their files.

    Args:
        message: what travelled.
    """
    return replace(custom.load(message.values["custom"]), replaced=message.values["replaced"])


def described(spec: Spec, weights: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A spec as plain values and arrays; its own layers are left out.

    Args:
        spec: any.
        weights: whether its weights travel.
    """
    arrays = {str(id(a)): a for layer in spec.layers for a in layer.weights.values() if weights}
    layers = [
        {
            **vars(layer),
            "weights": {role: str(id(a)) for role, a in layer.weights.items() if weights},
        }
        for layer in spec.layers
    ]
    return {"spec": {**vars(spec), "layers": layers, "custom": None}}, arrays


def spec_of(message: Message, own: Custom) -> Spec:
    """The spec that `described` described.

    Args:
        message: what travelled.
        own: the user's own layers by which it was read.
    """
    known = dict(message.values["spec"])
    weights = {key for entry in known["layers"] for key in entry["weights"].values()}
    arrays = {key: message.arrays[key].copy() for key in weights}  # writable
    layers = tuple(
        Layer(
            **{
                **entry,
                "inputs": tuple(entry["inputs"]),
                "shape": tuple(entry["shape"]),
                "path": tuple(entry["path"]),
                "weights": {role: arrays[key] for role, key in entry["weights"].items()},
            }
        )
        for entry in known["layers"]
    )
    ends = {"inputs": tuple(known["inputs"]), "outputs": tuple(known["outputs"])}
    return replace(Spec(**{**known, **ends, "layers": layers}), custom=own)
