"""What was done and what went wrong, on the console and in a log file in the output folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conversion.errors import UserError

LOG = logging.getLogger("conversion")
FILE = "conversion.log"


class _Upwards(logging.Handler):
    """Hands records on to the root logger's handlers, whatever level those have."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one on."""
        logging.getLogger().callHandlers(record)


@contextmanager
def journal(folder: Path | None) -> Iterator[logging.Logger]:
    """Keep a log file for the time being; what goes wrong is in it with its full traceback.

    The caller's own logging gets what it is set to show: DEBUG is for the file.

    Args:
        folder: where `conversion.log` goes; None keeps none.

    Raises:
        UserError: the folder cannot be written to.
    """
    handler: logging.Handler = logging.NullHandler()
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(folder / FILE, mode="w", encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"Expected a folder that can be written to at {folder} ({error.strerror}): name "
                "another one with --out or --report."
            ) from None
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level, propagate = LOG.level, LOG.propagate
    upwards = _Upwards(LOG.getEffectiveLevel()) if propagate else logging.NullHandler()
    LOG.addHandler(handler)
    LOG.addHandler(upwards)
    LOG.propagate = False
    LOG.setLevel(logging.DEBUG)
    try:
        yield LOG
    except Exception:
        LOG.debug("stopped", exc_info=True)  # the console gets the sentence, the file all of it
        raise
    finally:
        LOG.removeHandler(handler)
        LOG.removeHandler(upwards)
        LOG.propagate = propagate
        LOG.setLevel(level)
        handler.close()
