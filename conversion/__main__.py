"""`conversion`, and `python -m conversion`: the command line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from conversion.cli.parser import parsed
from conversion.errors import ReferenceCrashed, UserError
from conversion.variables import refuse_unknown


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: without the program's name; `sys.argv`'s by default.

    Returns:
        The exit code.
    """
    given = parsed(sys.argv[1:] if words is None else words)
    _console()
    try:
        refuse_unknown(os.environ)
        return int(given.run(given))
    except (UserError, ReferenceCrashed) as error:
        print(f"conversion: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("conversion: stopped", file=sys.stderr)
        return 130


def _console() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("conversion")
    log.handlers[:] = [handler]
    log.propagate = False  # libraries that log set up the root logger, which would say all twice


if __name__ == "__main__":
    sys.exit(main())
