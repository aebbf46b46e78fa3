"""A child process that does jobs: receives one, does it, answers, until its parent is gone."""

from __future__ import annotations

import logging
import resource
import signal
import sys
import traceback
import warnings
from importlib import import_module
from multiprocessing.connection import Connection

from conversion.core.channel import Message, end_with_parent, receive, send
from conversion.core.heap import give_back


class _Kept(logging.Handler):
    """Keeps what the libraries log from WARNING up."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


def serve(connection: Connection, timeout: int, jobs: str) -> None:
    """Answer jobs until the other side closes the connection.

    Args:
        connection: this process's end of the pipe.
        timeout: seconds after which a job's process ends itself, for a parent that is gone cannot
            end it; an alarm, since a job that hangs in C lets no thread run.
        jobs: the module whose `JOBS` has those that are named without a module.
    """
    known = import_module(jobs).JOBS if jobs else {}
    kept = _Kept()
    for name in ("", "tf2onnx", "tensorflow"):
        logging.getLogger(name).addHandler(kept)
    held: dict[str, object] = {}
    while True:
        try:
            message = receive(connection)
        except EOFError:
            return
        kept.lines.clear()
        signal.alarm(timeout + 1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                module, _, function = message.values["job"].rpartition(":")
                job = getattr(import_module(module), function) if module else known[function]
                values, arrays = job(held, message)
                answer = {**values}
            except Exception as error:  # whatever it is, the parent tells the user
                arrays = {}
                answer = {
                    "error": _sentence(error),
                    "kind": type(error).__name__,
                    "traceback": traceback.format_exc(),
                }
        signal.alarm(0)
        said = [f"{item.category.__name__}: {item.message}" for item in caught]
        answer["warnings"] = list(dict.fromkeys(kept.lines + said))
        send(connection, Message(answer, arrays))
        del message, arrays
        give_back()


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    if most := int(sys.argv[5]):
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    serve(Connection(int(sys.argv[1])), timeout=int(sys.argv[3]), jobs=sys.argv[4])
