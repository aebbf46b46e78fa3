"""Inputs made for a model that comes without data."""

from __future__ import annotations

import numpy as np

from conversion.errors import UserError
from conversion.spec import Spec

SEED = 0


def made_inputs(spec: Spec, count: int) -> dict[str, np.ndarray]:
    """Uniform whole numbers from 0 to 255 for every input.

    Whether they exercise the network is not taken for granted: parity measures how much the
    outputs vary and says undecided where they do not.

    Args:
        spec: the model.
        count: how many of each.

    Returns:
        Input name to ``(count, ...)`` float32.

    Raises:
        UserError: an input leaves a size open.
    """
    random = np.random.RandomState(SEED)  # its stream is frozen (NEP 19)
    made = {}
    for name in spec.inputs:
        shape = spec.layer(name).shape
        sizes = [size for size in shape if size is not None]
        if len(sizes) != len(shape):
            raise UserError(f"Expected input '{name}' to have a fixed size; got {shape}.")
        made[name] = random.randint(0, 256, (count, *sizes)).astype(np.float32)
    return made
