"""What a user demands of the artifacts beside being right: how much int8 may cost, how fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

from conversion.core.errors import UserError
from conversion.core.options import as_number, option


@dataclass(frozen=True)
class Demands:
    """What is allowed and what is asked for; none of it changes how an artifact is made.

    Attributes:
        max_drop: how many points of top-1 int8 may cost.
        max_class_drop: how many points int8 may cost a single class; None reports the classes
            without a limit.
        atol: absolute tolerance of float artifacts' outputs against Keras's, beside the noise.
        rtol: the same relative to Keras's outputs.
        min_speed_up: how many times as fast as its float baseline an int8 artifact must be; None
            reports the speed without a limit.
        allow_undecided: whether parity that has too little power may stand.
        require_decided: whether accuracy, classes and speed that are undecided may not.
    """

    max_drop: float = option(
        5.0,
        "--max-drop",
        "points of top-1 that int8 may cost; its interval is judged",
        metavar="POINTS",
        parse=as_number,
    )
    max_class_drop: float | None = option(
        None,
        "--max-class-drop",
        "points that int8 may cost one class; default: no limit",
        metavar="POINTS",
        parse=as_number,
    )
    atol: float | None = option(
        None,
        "--atol",
        "absolute tolerance of float outputs against Keras's, beside the noise",
        metavar="X",
        parse=as_number,
    )
    rtol: float | None = option(
        None,
        "--rtol",
        "relative tolerance of float outputs against Keras's, beside the noise",
        metavar="X",
        parse=as_number,
    )
    min_speed_up: float | None = option(
        None,
        "--min-speed-up",
        "times the float baseline's speed that int8 must reach at batch 1 and 32; default: no "
        "limit",
        metavar="X",
        parse=as_number,
    )
    allow_undecided: bool = option(
        False, "--allow-undecided", "parity with too little power to decide passes", const=True
    )
    require_decided: bool = option(
        False,
        "--require-decided",
        "too few images to decide accuracy or classes does not pass",
        const=True,
    )

    def __post_init__(self) -> None:
        for flag, points in (
            ("--max-drop", self.max_drop),
            ("--max-class-drop", self.max_class_drop),
        ):
            if points is not None and not 0 <= points <= 100:
                raise UserError(f"Expected {flag} to be 0 to 100 points; got {points:g}.")
        for flag, size in (("--atol", self.atol), ("--rtol", self.rtol)):
            if size is not None and not (math.isfinite(size) and size >= 0):
                raise UserError(f"Expected {flag} to be a number from 0 on; got {size:g}.")
        speed = self.min_speed_up
        if speed is not None and not (math.isfinite(speed) and speed > 0):
            raise UserError(f"Expected --min-speed-up to be a number above 0; got {speed:g}.")
