"""A job of the Keras process: files decoded as TensorFlow decodes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from conversion.core.channel import Message

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


def decoded(held: dict[str, Any], message: Message) -> Answer:
    """The pixels of JPEG files, ``(H, W, 3)`` uint8 each, under their numbers."""
    settings = dict(message.values["settings"])
    found = {}
    for index, path in enumerate(message.values["paths"]):
        content = Path(path).read_bytes()
        found[str(index)] = tf.io.decode_jpeg(content, channels=3, **settings).numpy()
    return {}, found
