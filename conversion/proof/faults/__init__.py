"""Known bugs to inject: operators by kind of layer, and a table of faults made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conversion.proof.faults.fault import Fault


def all_faults() -> tuple[Fault, ...]:
    """Every fault of the reference subjects, in the order of the data's way.

    They are read when they are asked for, since their operators need ONNX and PyTorch.
    """
    from conversion.proof.faults.table import reference_faults

    return reference_faults()
