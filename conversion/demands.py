"""What a user demands of the artifacts beside being right: how much int8 may cost, how fast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conversion.errors import UserError


def _option(option: str, metavar: str, words: str) -> Mapping[str, Any]:
    """What the command line and pytest need to offer a field; a switch has no metavar."""
    return {"option": option, "metavar": metavar, "help": words}


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

    max_drop: float = field(
        default=5.0,
        metadata=_option(
            "--max-drop", "POINTS", "points of top-1 that int8 may cost; its interval is judged"
        ),
    )
    max_class_drop: float | None = field(
        default=None,
        metadata=_option(
            "--max-class-drop", "POINTS", "points that int8 may cost one class; default: no limit"
        ),
    )
    atol: float | None = field(
        default=None,
        metadata=_option(
            "--atol", "X", "absolute tolerance of float outputs against Keras's, beside the noise"
        ),
    )
    rtol: float | None = field(
        default=None,
        metadata=_option(
            "--rtol", "X", "relative tolerance of float outputs against Keras's, beside the noise"
        ),
    )
    min_speed_up: float | None = field(
        default=None,
        metadata=_option(
            "--min-speed-up",
            "X",
            "times the float baseline's speed that int8 must reach at batch 1 and 32; default: no "
            "limit",
        ),
    )
    allow_undecided: bool = field(
        default=False,
        metadata=_option("--allow-undecided", "", "parity with too little power to decide passes"),
    )
    require_decided: bool = field(
        default=False,
        metadata=_option(
            "--require-decided", "", "too few images to decide accuracy or classes does not pass"
        ),
    )

    def __post_init__(self) -> None:
        for option, points in (
            ("--max-drop", self.max_drop),
            ("--max-class-drop", self.max_class_drop),
        ):
            if points is not None and not 0 <= points <= 100:
                raise UserError(f"Expected {option} to be 0 to 100 points; got {points:g}.")
        for option, size in (("--atol", self.atol), ("--rtol", self.rtol)):
            if size is not None and not (math.isfinite(size) and size >= 0):
                raise UserError(f"Expected {option} to be a number from 0 on; got {size:g}.")
        speed = self.min_speed_up
        if speed is not None and not (math.isfinite(speed) and speed > 0):
            raise UserError(f"Expected --min-speed-up to be a number above 0; got {speed:g}.")
