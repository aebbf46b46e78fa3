"""`conversion`, and `python -m conversion`: the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from conversion.core.interrupt import Interruption, quiet_start

with quiet_start():  # NumPy alone takes long enough for a Ctrl-C
    from conversion.cli.parser import parsed
    from conversion.core.console import LOG, console
    from conversion.core.errors import ReferenceCrashed, UserError
    from conversion.core.progress import stage
    from conversion.core.variables import refuse_unknown


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: without the program's name; `sys.argv`'s by default, and then the process is taken
            for the command's own: signals end it, and what libraries print goes to the log.

    Returns:
        The exit code.
    """
    typed = sys.argv[1:] if words is None else words
    if words is not None or typed[:1] == ["test"]:  # pytest has its own ways to speak and to stop
        return _run(typed, None)
    with Interruption() as interruption:
        return _run(typed, interruption)


def _run(words: Sequence[str], interruption: Interruption | None) -> int:
    given = parsed(words)
    with console(interruption):
        try:
            refuse_unknown(os.environ)
            with nullcontext() if given.verb == "test" else stage(given.verb):
                return int(given.run(given))
        except (UserError, ReferenceCrashed) as error:
            LOG.error("conversion: %s", " ".join(str(error).split()))
            return 2
        except KeyboardInterrupt:
            if interruption is None:  # else it says so itself
                LOG.error("conversion: stopped")
            return 130


if __name__ == "__main__":
    sys.exit(main())
