"""What was done, what went wrong and what libraries print, in a log file in the output folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from conversion.core.console import foreign_output_to
from conversion.core.errors import UserError

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
    level, propagate = LOG.level, LOG.propagate
    with nullcontext() if folder is None else _file(folder) as file:
        handler = logging.NullHandler() if file is None else logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        upwards = _Upwards(LOG.getEffectiveLevel()) if propagate else logging.NullHandler()
        LOG.addHandler(handler)
        LOG.addHandler(upwards)
        LOG.propagate = False
        LOG.setLevel(logging.DEBUG)
        try:
            with nullcontext() if file is None else foreign_output_to(file.fileno()):
                yield LOG
        except Exception:
            LOG.debug("stopped", exc_info=True)  # the console gets the sentence, the file all of it
            raise
        finally:
            LOG.removeHandler(handler)
            LOG.removeHandler(upwards)
            LOG.propagate = propagate
            LOG.setLevel(level)


def _file(folder: Path) -> TextIO:
    """An empty log, open to append: what libraries print goes to its end too."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_bytes(b"")
        return (folder / FILE).open("a", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"Expected a folder that can be written to at {folder} ({error.strerror}): name "
            "another one with --out or --report."
        ) from None
