"""One line for every stage of the work that takes more than two seconds, and a sign of life."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LOG = logging.getLogger("conversion")

PATIENCE = 2.0
"""Seconds until a stage that is still running is said."""

SILENCE = 5.0
"""Seconds without a line until the innermost such stage is said again; longer ones more rarely."""

TICK = 0.25


class Stage:
    """A named piece of work.

    Attributes:
        words: what is being done.
        note: how far it is, such as ``500 of 1000``; shown where the stage is said again.
    """

    def __init__(self, words: str) -> None:
        self.words, self.note = words, ""
        self.began, self.said = time.monotonic(), False

    def __str__(self) -> str:
        seconds = f"{time.monotonic() - self.began:.0f} s"
        return f"{self.words} ... {', '.join(filter(None, (self.note, seconds)))}"


class _Watch:
    """The open stages of one thread, outermost first, and the thread that speaks of them.

    Attributes:
        stages: the open stages.
        changed: when one was opened or closed last.
    """

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.changed = self._spoke = time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._speak, name="progress", daemon=True).start()

    def close(self) -> None:
        """Stop speaking."""
        self._over.set()

    def _speak(self) -> None:
        while not self._over.wait(TICK):
            now = time.monotonic()
            late = [each for each in tuple(self.stages) if now - each.began >= PATIENCE]
            new = [each for each in late if not each.said]
            for stage in new:
                stage.said = True
                LOG.info("%s ...", stage.words)
            if new:
                self._spoke = now
            elif late and now - self._spoke >= max(SILENCE, (now - self.changed) / 12):
                LOG.info("%s", late[-1])
                self._spoke = now


_WATCH: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def stage(words: str) -> Iterator[Stage]:
    """Say what is being done if it takes long; a quick stage says nothing.

    The lines go to the logger `conversion` at INFO, so that nothing is shown or watched where
    nobody listens, as in a test run or a call from Python.

    Args:
        words: what is being done.

    Yields:
        The stage, whose `note` may be set as it goes on.
    """
    opened, watch = Stage(words), _WATCH.get()
    if watch is None and not LOG.isEnabledFor(logging.INFO):
        yield opened
        return
    token = None
    if watch is None:
        watch = _Watch()
        token = _WATCH.set(watch)
    watch.stages.append(opened)
    watch.changed = opened.began
    try:
        yield opened
    finally:
        watch.stages.remove(opened)
        watch.changed = time.monotonic()
        if opened.said:
            LOG.debug("%s took %.1f s", words, time.monotonic() - opened.began)
        if token is not None:
            _WATCH.reset(token)
            watch.close()
