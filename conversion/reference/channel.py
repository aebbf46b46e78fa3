"""Messages between this process and the reference: JSON and raw arrays, nothing that runs code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Message:
    """Plain values and named arrays that travel together."""

    values: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def send(connection: Connection, message: Message) -> None:
    """Send a message: one JSON header, then each array's bytes.

    Raises:
        TypeError: a value or an array cannot travel; nothing has been sent then.
    """
    for name, array in message.arrays.items():
        if np.dtype(array.dtype.str) != array.dtype or array.dtype.hasobject:
            raise TypeError(f"array '{name}' of dtype {array.dtype} cannot travel as plain bytes")
    described = [[name, a.dtype.str, list(a.shape)] for name, a in message.arrays.items()]
    header = {"values": message.values, "arrays": described}
    connection.send_bytes(json.dumps(header).encode())
    for array in message.arrays.values():
        connection.send_bytes(np.ascontiguousarray(array).tobytes())


def receive(connection: Connection) -> Message:
    """Receive what `send` sent.

    Raises:
        EOFError: the other side is gone.
    """
    header = json.loads(connection.recv_bytes())
    arrays = {
        name: np.frombuffer(connection.recv_bytes(), dtype=np.dtype(dtype)).reshape(shape)
        for name, dtype, shape in header["arrays"]
    }
    return Message(header["values"], arrays)
