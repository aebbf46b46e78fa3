"""A process of its own, and messages to it: JSON and raw arrays, nothing that runs code."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import IO, Any

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


def start(
    module: str, arguments: Sequence[str], settings: Mapping[str, str], log: IO[bytes]
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a module of this package in a fresh process with a pipe to it.

    Args:
        module: what runs there; its first argument is the number of its end of the pipe.
        arguments: further arguments.
        settings: environment variables beside this process's own.
        log: takes what it prints.

    Returns:
        The process and this end of the pipe.
    """
    ours, theirs = multiprocessing.Pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **settings},
    )
    theirs.close()
    return process, ours
