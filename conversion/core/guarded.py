"""Functions of this package in a child process, where a crash, a hang or a flood is survived."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import environment as machine
from conversion.core import errors
from conversion.core.channel import Child, Message, receive, send
from conversion.core.errors import Crashed, OutOfMemory, RunFailed, UserError
from conversion.core.running import MOST_MEMORY

OPENING = 30.0
"""Seconds to read or open a file; the slowest of the reference models takes 2."""

RUNNING = 600.0
"""Seconds to run a file on one batch."""

LIBRARIES = 2_000_000_000
"""Bytes that a child may take for libraries, beside activations and what its file unfolds to."""

UNFOLDED = 10
"""Bytes that a child may take for each byte of its file: copies, another layout, wider numbers."""


def allowance(size: int, budget: int = MOST_MEMORY) -> int:
    """Bytes that a child may take.

    Args:
        size: bytes of the files that it opens.
        budget: bytes for its activations.
    """
    return min(LIBRARIES + budget + UNFOLDED * size, most())


def most() -> int:
    """Bytes that any child may take, which leaves the rest of the machine to others."""
    return machine.memory() * 3 // 4


def limit_in_words(limit: int, option: str = "") -> str:
    """What a child may take, and up to what an option would give it more.

    Args:
        limit: bytes.
        option: where one does.
    """
    words = f"it may take {limit / 1e9:.1f} GB of memory"
    if limit >= most():
        return f"{words}, three quarters of this machine's"
    return f"{words}, with {option} up to {most() / 1e9:.1f}" if option else words


def one_job(about: str, path: Path, job: str, values: Mapping[str, Any]) -> Message:
    """Have a child of its own do one job on one file.

    Args:
        about: what the file should be.
        path: the file, which need not be there.
        job: ``module:function``, as of `Guarded.call`.
        values: the job's plain arguments beside ``path``.

    Raises:
        UserError: as `Guarded.call`.
    """
    size = path.stat().st_size if path.is_file() else 0
    child = Guarded(f"Expected {about}; {path.name}", allowance(size))
    try:
        return child.call(job, {"path": str(path), **values}, seconds=OPENING)
    finally:
        child.close()


class Guarded:
    """A child process that does jobs within limits of time and memory; started by the first."""

    def __init__(self, about: str, memory: int, option: str = "") -> None:
        """Prepare a child without starting it.

        Args:
            about: the file that it works on, the subject of the sentences of errors.
            memory: bytes that it may take.
            option: what would give it more.
        """
        self._about, self._memory = about, memory
        self._limit = limit_in_words(memory, option)
        self._child: Child | None = None

    def call(
        self,
        job: str,
        values: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
        seconds: float = RUNNING,
    ) -> Message:
        """Have the child do one job.

        Args:
            job: ``module:function``, called with what the child holds and the message.
            values: the job's plain arguments.
            arrays: the job's arrays, by name.
            seconds: how long it may take.

        Raises:
            UserError: the job refuses its arguments.
            RunFailed: it raised anything else.
            OutOfMemory: it needs more than it may take.
            Crashed: the child died or took too long; it is gone then.
        """
        if self._child is None:
            arguments = (str(math.ceil(RUNNING)), "", str(self._memory))
            self._child = Child("conversion.core.worker", arguments, {})
        child = self._child
        try:
            send(child.connection, Message({"job": job, **values}, arrays or {}))
            if not child.connection.poll(seconds):
                raise Crashed(f"{self._about} is not done within {seconds:g} s.")
            answer = receive(child.connection)
        except (EOFError, OSError):
            ended = self._ended(child)
            self.close()
            raise ended from None
        except BaseException:  # Ctrl-C too: the next call must not read this one's answer
            self.close()
            raise
        self._refuse(answer)
        return answer

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.close()
        self._child = None

    def __del__(self) -> None:
        self.close()

    def _ended(self, child: Child) -> UserError:
        code = child.process.wait()
        how = signal.Signals(-code).name if code < 0 else f"code {code}"
        words = child.last_words()[-200:]
        if "std::bad_alloc" in words:
            return self._too_little(words)
        how = f"{how}; {self._limit}"
        return Crashed(f"{self._about} crashes the process that opens it ({how}): {words}.")

    def _too_little(self, said: str) -> OutOfMemory:
        about = f"{self._about} needs more memory than its process has"
        return OutOfMemory(f"{about} ({self._limit}): {said}")

    def _refuse(self, answer: Message) -> None:
        said, kind = answer.values.get("error"), str(answer.values.get("kind"))
        if said is None:
            return
        known = getattr(errors, kind, None)
        if isinstance(known, type) and issubclass(known, UserError):
            raise known(said.removeprefix(f"{kind}: "))
        if kind.endswith("MemoryError"):
            raise self._too_little(said)
        failed = RunFailed(f"{self._about} stops the process that opens it: {said[:300]}")
        failed.add_note(answer.values["traceback"])
        raise failed
