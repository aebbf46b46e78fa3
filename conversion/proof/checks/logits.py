"""Outputs that softmax or sigmoid makes the same for every image, as they are before that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from conversion.backends import REFERENCE
from conversion.proof.metrics.compare import compare, is_flat
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.views import LOGITS, VIEWS
from conversion.workspace import Workspace


def logits_of(output: str) -> str:
    """What an output before its softmax or sigmoid is called."""
    return f"{output} before its activation"


@dataclass(frozen=True, eq=False)
class Logits:
    """An output before its softmax or sigmoid, on the images on which layers are compared.

    Attributes:
        truth: ``(N, ...)`` float64.
        keras: the same of Keras, float32.
        file: the same of the artifact, float32.
        head: in which of `VIEWS` they are compared.
    """

    truth: np.ndarray
    keras: np.ndarray
    file: np.ndarray
    head: str

    def noise(self, name: str) -> Difference:
        """Keras's distance from the truth, under a name."""
        views = {name: VIEWS[self.head]}
        (found,) = compare({name: self.truth}, {name: self.keras}, views, np.float32)
        return found


def saturated(
    workspace: Workspace, find: Callable[[str, np.ndarray], np.ndarray | None]
) -> dict[str, Logits]:
    """The outputs that hardly vary though what their softmax or sigmoid reads does.

    Args:
        workspace: where the outputs come from.
        find: gives what an artifact has before an output's activation, ``(N, ...)`` float32, for
            the output's name and what it should be; None where it has no such tensor.
    """
    heads = {name: workspace.spec.head(name) for name in workspace.spec.outputs}
    if set(heads.values()) == {"none"}:
        return {}
    exact, keras = workspace.truth, workspace.outputs(REFERENCE).arrays
    found = {}
    for name, head in heads.items():
        if head == "none" or not is_flat(exact[name], keras[name], VIEWS[head]):
            continue
        wanted, ours = (each[name] for each in workspace.layers.logits)
        view = LOGITS if head == "softmax" else "none"
        file = None if is_flat(wanted, ours, VIEWS[view]) else find(name, wanted)
        if file is not None:
            found[name] = Logits(wanted, ours, file, view)
    return found
