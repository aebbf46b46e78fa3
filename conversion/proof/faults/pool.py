"""A pool of processes that say what they do through this one, and end with it."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from conversion.core.channel import end_with_parent

LOG = logging.getLogger("conversion")


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share nothing with this one.

    Args:
        workers: how many.

    Yields:
        The pool.
    """
    context = multiprocessing.get_context("spawn")
    lines = context.Queue()
    listener = QueueListener(lines, *LOG.handlers, respect_handler_level=True)
    listener.start()
    try:
        with ProcessPoolExecutor(
            workers, context, initializer=_begin, initargs=(lines, LOG.getEffectiveLevel())
        ) as made:
            yield made
    finally:
        listener.stop()


def _begin(lines: Any, level: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    parent = multiprocessing.parent_process()
    assert parent is not None
    end_with_parent(parent.sentinel)
    LOG.addHandler(QueueHandler(lines))
    LOG.setLevel(level)
