"""A process of its own, and messages to it: JSON and raw arrays, nothing that runs code."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
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


class Child:
    """A module of this package in a fresh process, with a pipe to it.

    It is in a process group of its own, so that Ctrl-C in a terminal reaches this process only,
    and ends with this process even where that one is killed: see `end_with_parent`.

    Attributes:
        process: the process.
        connection: this end of the pipe.
    """

    def __init__(self, module: str, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        """Start it.

        Args:
            module: what runs there; its first two arguments are the numbers of its end of the pipe
                and of the file that `end_with_parent` takes.
            arguments: further arguments.
            settings: environment variables beside this process's own.
        """
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        self.connection, theirs = multiprocessing.Pipe()
        lifeline, self._lifeline = os.pipe()
        try:
            numbers = (theirs.fileno(), lifeline)
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, numbers), *arguments],
                pass_fds=numbers,
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    # Or a folder of the same name in the current one would be run in its place.
                    "PYTHONSAFEPATH": "1",
                    **settings,
                },
            )
        finally:
            theirs.close()
            os.close(lifeline)

    @property
    def running(self) -> bool:
        """Whether the process is up."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """The last lines that it printed, in one."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it printed nothing"

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
        os.close(self._lifeline)
        self._log.close()


def end_with_parent(lifeline: int) -> None:
    """End this process when its parent does, whatever either of them is doing then.

    The parent alone holds the other end of the pipe. When that is gone Linux sends SIGIO, which
    ends a process by default, even one that hangs in C and lets no thread run. (PR_SET_PDEATHSIG
    would end it with the *thread* that started it.)

    Args:
        lifeline: the file that `Child` passed.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    if select.select([lifeline], [], [], 0)[0]:  # it was gone before
        os._exit(1)
