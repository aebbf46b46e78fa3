"""Activations of older Keras, registered for the copy of a file in which they are named."""

from __future__ import annotations

from typing import Any

import keras

from conversion.readers.older_versions import restated

PACKAGE = "conversion"


def hard_sigmoid_of_keras_2(x: Any) -> Any:
    """What Keras 1 and 2 computed under the name hard_sigmoid."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


keras.saving.register_keras_serializable(package=PACKAGE)(hard_sigmoid_of_keras_2)


def with_older_activations(config: Any, version: str) -> Any:
    """A description with its activations as the Keras that wrote it meant them.

    Args:
        config: the model's description, which is changed.
        version: of that Keras.
    """
    restated(config, version, _serialized)
    return config


def _serialized(name: str) -> dict[str, Any]:
    registered = f"{PACKAGE}>{name}"
    return {
        "module": None,
        "class_name": "function",
        "config": registered,
        "registered_name": registered,
    }
