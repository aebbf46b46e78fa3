"""What a person sees: our own lines. What libraries print on standard error goes to the log."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from conversion.core.interrupt import Interruption

LOG = logging.getLogger("conversion")
LAST_LINES = 20


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Shows what the logger `conversion` is told at INFO."""

    def __init__(self, stream: TextIO, interruption: Interruption | None = None) -> None:
        """Show it on a stream.

        Args:
            stream: where.
            interruption: how to end the process where nobody reads it; given where the process is
                the command's own.
        """
        super().__init__(stream)
        self.interruption = interruption
        self.setLevel(logging.INFO)
        self.setFormatter(logging.Formatter("%(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """End the process where the stream is a closed pipe."""
        if self.interruption is not None and isinstance(sys.exc_info()[1], BrokenPipeError):
            self.interruption.stop()
        else:
            super().handleError(record)


@contextmanager
def spoken(handler: ConsoleHandler | None = None) -> Iterator[None]:
    """Show what is being done on standard error, unless it is shown already.

    Args:
        handler: shows it; by default on `sys.stderr`.
    """
    if _console() is not None:
        yield
        return
    handler = handler or ConsoleHandler(sys.stderr)
    level, propagate = LOG.level, LOG.propagate
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False  # libraries that log set up the root logger, which would say all twice
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(level)
        LOG.propagate = propagate


@contextmanager
def console(interruption: Interruption | None) -> Iterator[None]:
    """Show our own lines on the terminal and nothing else.

    Native code writes to file descriptor 2, whatever `sys.stderr` is, so that is what goes
    elsewhere: to a temporary file, or to the log while there is one. (To a file, not to a pipe:
    what a crashing library said last is in it.)

    Args:
        interruption: of a process that is the command's own; with None, as in a call from Python,
            file descriptors are left alone.

    Raises:
        Exception: what the block raises; the last lines of the libraries are shown before it.
    """
    if interruption is None:
        with spoken():
            yield
        return
    terminal = os.fdopen(os.dup(interruption.terminal), "w", buffering=1, errors="replace")
    with (
        tempfile.NamedTemporaryFile(prefix="conversion-", suffix=".log") as noise,
        terminal,
        spoken(ConsoleHandler(terminal, interruption)),
    ):
        interruption.temporary = noise.name
        try:
            with foreign_output_to(noise.fileno()):
                yield
        except Exception:
            noise.seek(0)
            lines = noise.read().decode(errors="replace").splitlines(keepends=True)
            terminal.writelines(lines[-LAST_LINES:])
            raise


@contextmanager
def foreign_output_to(file: int) -> Iterator[None]:
    """Send what libraries print on standard error to a file, where the terminal is not theirs.

    Args:
        file: number of the file, open to append.
    """
    handler = _console()
    if handler is None or handler.interruption is None:
        yield
        return
    before = os.dup(2)
    _turn(file)
    try:
        yield
    finally:
        _turn(before)
        os.close(before)


def _turn(file: int) -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
    os.dup2(file, 2)


def _console() -> ConsoleHandler | None:
    return next((each for each in LOG.handlers if isinstance(each, ConsoleHandler)), None)
