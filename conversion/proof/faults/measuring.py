"""Faults of how an artifact is run and timed: what comes out is not what the file gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from conversion.core import digest
from conversion.core.artifact import Runner, Store
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import exchanged
from conversion.workspace import Workspace

Rows = dict[str, np.ndarray]


class Misrun:
    """A runner whose outputs are tampered with on their way."""

    def __init__(self, good: Runner, change: Callable[[Rows], Rows]) -> None:
        self._good, self._change = good, change

    def run(self, inputs: Mapping[str, np.ndarray]) -> Rows:
        """What the good runner gives, changed."""
        return self._change(self._good.run(inputs))


def in_runs(name: str, make: Callable[[], Callable[[Rows], Rows]]) -> Inject:
    """A fault in how an artifact is run, whatever it is run for.

    Args:
        name: the artifact.
        make: returns what changes the outputs of one call; it may remember earlier ones.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        good = workspace.artifact(name)
        # Under a digest of its own: what is kept of the good artifact must not be found.
        other = replace(good, digest=digest.of_bytes(f"{good.digest}, run wrongly".encode()))

        def opened(threads: int) -> Runner:
            return Misrun(workspace.runner(name, threads), make())

        return workspace.injected(Store(folder / "store"), {name: other}, runners={name: opened})

    return inject


def reversed_in_tens() -> Callable[[Rows], Rows]:
    """Rows come out in reverse within every ten of them."""

    def change(rows: Rows) -> Rows:
        starts = range(0, len(next(iter(rows.values()))), 10)
        return {
            key: np.concatenate([array[start : start + 10][::-1] for start in starts])
            for key, array in rows.items()
        }

    return change


def result_reused() -> Callable[[Rows], Rows]:
    """A call gives what the call before gave, where the shapes fit."""
    last: Rows = {}

    def change(rows: Rows) -> Rows:
        before = dict(last)
        last.update(rows)
        fits = before and all(before[key].shape == array.shape for key, array in rows.items())
        return before if fits else rows

    return change


def noisy() -> Callable[[Rows], Rows]:
    """Noise of 1e-3 on the logits of every call."""
    random = np.random.RandomState(7)

    def change(rows: Rows) -> Rows:
        return {key: with_noise(array, random) for key, array in rows.items()}

    return change


def with_noise(probabilities: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Probabilities whose logits have noise of 1e-3."""
    factors = np.exp(random.normal(0, 1e-3, probabilities.shape))
    moved = probabilities * factors
    rescaled: np.ndarray = moved / moved.sum(axis=1, keepdims=True)
    return rescaled.astype(probabilities.dtype)


def one_file_for_both(workspace: Workspace, folder: Path) -> Workspace:
    """What is timed against the float file is a copy of the float file."""
    path = folder / "onnx-int8.onnx"
    path.write_bytes(workspace.artifact("onnx-fp32").path.read_bytes())
    return workspace.injected(
        Store(folder / "store"), {"onnx-int8": exchanged(workspace, "onnx-int8", path)}
    )


def _fault(
    name: str, artifact: str, magnitude: str, check: str, where: str, inject: Inject
) -> Fault:
    return Fault(name, "measurement", artifact, magnitude, check, where, inject)


FAULTS: tuple[Fault, ...] = (
    _fault(
        "rows-reversed-in-tens",
        "torch-fp32",
        "every row but none of its values",
        "rows",
        "dense",
        in_runs("torch-fp32", reversed_in_tens),
    ),
    _fault(
        "rows-reversed-in-tens-int8",
        "onnx-int8",
        "every row but none of its values",
        "rows",
        "dense",
        in_runs("onnx-int8", reversed_in_tens),
    ),
    _fault(
        "previous-result-reused",
        "onnx-fp32",
        "one batch behind",
        "rows",
        "dense",
        in_runs("onnx-fp32", result_reused),
    ),
    _fault(
        "noise-on-every-call",
        "torch-fp32",
        "1e-3 on the logits",
        "rows",
        "dense",
        in_runs("torch-fp32", noisy),
    ),
    _fault(
        "one-file-timed-against-itself",
        "onnx-int8",
        "the whole file",
        "speed",
        "two copies of one file",
        one_file_for_both,
    ),
)
