"""The environment variables that are read; one more with their prefix is taken for a typo."""

from __future__ import annotations

from collections.abc import Mapping

from conversion.core.errors import UserError

PREFIX = "CONVERSION_"
VARIABLES = {
    "CONVERSION_CACHE_DIR": "where artifacts and predictions are kept between runs",
    "CONVERSION_DATA_DIR": "where MLPerf Tiny's model and images are",
}
"""Name to meaning."""


def refuse_unknown(environment: Mapping[str, str]) -> None:
    """Refuse a variable with the package's prefix that it would silently ignore.

    Args:
        environment: name to value, such as `os.environ`.

    Raises:
        UserError: there is such a variable.
    """
    unknown = [name for name in environment if name.startswith(PREFIX) and name not in VARIABLES]
    if unknown:
        raise UserError(
            f"Unknown environment variable {unknown[0]}; known: {', '.join(VARIABLES)}."
        )
