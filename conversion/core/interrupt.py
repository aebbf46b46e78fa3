"""Ctrl-C, a signal to end, a closed pipe: the prompt is back within two seconds, quietly."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType

GRACE = 1.0
"""Seconds that the main thread has to tidy up; native code does not hear of a signal until then."""

NAME = "conversion"
"""The command's."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BROKEN = 128 + signal.SIGPIPE
TRACKER = "resource_tracker"
"""What multiprocessing starts again, with words on stderr, where it is killed before the main
thread has given back what it holds."""


class Interruption:
    """Ends a process that is the command's own; nothing else may enter it, as it takes signals.

    A signal raises KeyboardInterrupt in the main thread, so that what is half done is removed. A
    thread hears of it at the same time, ends the child processes, and ends this one where the main
    thread has not done so in time.

    Attributes:
        terminal: a file descriptor that stays standard error, wherever number 2 goes.
        temporary: a file that goes where the main thread is not there to remove it.
    """

    def __init__(self) -> None:
        self.terminal, self.temporary = _copy_of_stderr(), ""
        self._code = 0
        self._raised, self._ending = False, threading.Lock()

    def __enter__(self) -> Interruption:
        self._signalled, self._signals = os.pipe()
        os.set_blocking(self._signals, False)
        signal.set_wakeup_fd(self._signals, warn_on_full_buffer=False)
        for each in SIGNALS:
            if signal.getsignal(each) is not signal.SIG_IGN:  # as under nohup, or behind a `&`
                signal.signal(each, self._raise)
        threading.Thread(target=self._watch, name="interrupt", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._code:  # whatever was raised then, this is why
            self._end()
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError as broken:
            error = broken
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the interpreter's own last flush
            raise SystemExit(BROKEN) from None

    def stop(self) -> None:
        """End the command since nobody reads what it says any more; from any thread."""
        if not self._code:
            self._code = BROKEN
            os.write(self._signals, bytes([signal.SIGINT]))  # in case that it is ignored
            os.kill(os.getpid(), signal.SIGINT)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self._code = self._code or 128 + number
        if not self._raised:  # once: a second Ctrl-C would stop the tidying up
            self._raised = True
            raise KeyboardInterrupt

    def _watch(self) -> None:
        number = 0
        while number not in SIGNALS:
            number = os.read(self._signalled, 1)[0]
        self._code = self._code or 128 + number
        _kill_children(but=TRACKER)
        threading.Event().wait(GRACE)
        self._end()

    def _end(self) -> None:
        self._ending.acquire()  # for good: whoever comes second waits for the end
        # Another thread may still be tidying up: its words on children that are gone help nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        _kill_children()  # those that were started meanwhile
        with suppress(OSError):
            os.unlink(self.temporary)
        if self._code != BROKEN:
            with suppress(OSError):  # nobody may read that either
                os.write(self.terminal, b"conversion: stopped\n")
        os._exit(self._code)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Let Ctrl-C end the command without a traceback while it is still being imported.

    Nothing is changed where another program imports the package.
    """
    module = sys.argv[:1] == ["-m"] and NAME in sys.orig_argv
    started = module or os.path.basename("".join(sys.argv[:1])) == NAME
    if not started or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _copy_of_stderr() -> int:
    try:
        return os.dup(2)
    except OSError:  # there is none
        return os.open(os.devnull, os.O_WRONLY)


def _kill_children(but: str = "") -> None:
    """Kill all children, but those whose command line has a word."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        try:
            if not but or but not in " ".join(child.cmdline()):
                child.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
