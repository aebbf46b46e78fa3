"""What a file computes before the softmax or sigmoid of an output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from conversion.proof.taps.candidates import Candidates
from conversion.proof.taps.network import Network
from conversion.proof.taps.opened import Exposed


def logits_in(
    exposed: Exposed,
    output: int,
    chunks: Sequence[Mapping[str, np.ndarray]],
    exact: np.ndarray,
) -> np.ndarray | None:
    """The values that an output's last activation reads in a file.

    Args:
        exposed: the file.
        output: its place among the outputs.
        chunks: images, a few at a time: input name to ``(n, ...)`` float32.
        exact: what they should be, ``(N, ...)``, by which a layout is told.

    Returns:
        ``(N, ...)`` in the source's layout; None where the file has no such tensor.
    """
    tensor = _read_last(exposed.network, exposed.network.outputs[output])
    if not tensor:
        return None
    parts = [exposed.run(inputs, [tensor]).get(tensor) for inputs in chunks]
    if any(part is None for part in parts):
        return None
    found = np.concatenate([part for part in parts if part is not None])
    if len(found) != len(exact):
        return None
    shape = exact.shape[1:]
    fits = Candidates({tensor: found}, [shape]).fits(exact)
    return np.asarray(fits[0].reading.of(found, shape), np.float32) if fits else None


def _read_last(network: Network, output: str) -> str:
    """The one tensor that the operator of an output reads; empty where it has weights or more."""
    tensors = {each.name: each for each in network.tensors}
    last = tensors.get(output)
    while last is not None and last.moves and len(last.reads) == 1:
        last = tensors.get(last.reads[0])
    alone = last is not None and len(last.reads) == 1 and not last.constants
    return last.reads[0] if last is not None and alone else ""
