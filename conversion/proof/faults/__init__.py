"""Known bugs to inject: operators by kind of layer, and tables of faults made of them.

Both tables are read when they are asked for, since their operators need ONNX and PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conversion.core.spec import Spec
    from conversion.proof.faults.fault import Fault


def all_faults() -> tuple[Fault, ...]:
    """Every fault of the reference subjects, in the order of the data's way."""
    from conversion.proof.faults.table import reference_faults

    return reference_faults()


def faults_of(spec: Spec, artifacts: Sequence[str]) -> list[Fault]:
    """The standard faults of any model, as `picking.standard_faults`."""
    from conversion.proof.faults.picking import standard_faults

    return standard_faults(spec, artifacts)
