"""Faults of how an artifact is run and evaluated: outputs, predictions, labels and images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import digest
from conversion.core.artifact import Runner, Store
from conversion.proof.faults.fault import Asked, OfWorkspace
from conversion.proof.faults.injection import in_test
from conversion.subjects.data import Dataset
from conversion.subjects.recipe import Recipe
from conversion.subjects.shipped import Prepared, Shipped
from conversion.workspace import Outputs, Workspace

Rows = dict[str, np.ndarray]


class Misrun:
    """A runner whose outputs are tampered with on their way."""

    def __init__(self, good: Runner, change: Callable[[Rows], Rows]) -> None:
        self._good, self._change = good, change

    def run(self, inputs: Mapping[str, np.ndarray]) -> Rows:
        """What the good runner gives, changed."""
        return self._change(self._good.run(inputs))


def in_runs(make: Callable[[Any], Callable[[Rows], Rows]]) -> OfWorkspace:
    """A fault in how an artifact is run, whatever it is run for.

    Args:
        make: returns what changes the outputs of one call; it may remember earlier ones.
    """

    def inject(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
        name = asked.artifact
        good = workspace.artifact(name)
        # Under a digest of its own: what is kept of the good artifact must not be found.
        other = replace(good, digest=digest.of_bytes(f"{good.digest}, run wrongly".encode()))

        def opened(threads: int) -> Runner:
            return Misrun(workspace.runner(name, threads), make(asked.value))

        return workspace.injected(Store(folder / "store"), {name: other}, runners={name: opened})

    return inject


def reversed_in_parts(size: int) -> Callable[[Rows], Rows]:
    """Rows come out in reverse within every so many of them."""

    def change(rows: Rows) -> Rows:
        starts = range(0, len(next(iter(rows.values()))), size)
        return {
            key: np.concatenate([array[start : start + size][::-1] for start in starts])
            for key, array in rows.items()
        }

    return change


def result_reused(_: Any) -> Callable[[Rows], Rows]:
    """A call gives what the call before gave, where the shapes fit."""
    last: Rows = {}

    def change(rows: Rows) -> Rows:
        before = dict(last)
        last.update(rows)
        fits = before and all(before[key].shape == array.shape for key, array in rows.items())
        return before if fits else rows

    return change


def noisy(size: float) -> Callable[[Rows], Rows]:
    """Noise on the logits of every call."""
    random = np.random.RandomState(7)

    def noise(probabilities: np.ndarray) -> np.ndarray:
        moved = probabilities * np.exp(random.normal(0, size, probabilities.shape))
        rescaled: np.ndarray = moved / moved.sum(axis=1, keepdims=True)
        return rescaled.astype(probabilities.dtype)

    return lambda rows: {key: noise(array) for key, array in rows.items()}


def in_predictions(change: Callable[[Workspace, Asked, Dataset | None], Outputs]) -> OfWorkspace:
    """A fault in what an evaluation hands on as an artifact's outputs.

    Args:
        change: gives them on a data set, or on the parity images.
    """

    def inject(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
        def outputs(name: str, data: Dataset | None = None) -> Outputs:
            if name == asked.artifact:
                return change(workspace, asked, data)
            return workspace.outputs(name, data)

        return workspace.injected(Store(folder / "store"), outputs=outputs)

    return inject


def of_rows(edit: Callable[[np.ndarray, Any], np.ndarray]) -> OfWorkspace:
    """A fault in the rows of an artifact's outputs."""

    def change(good: Workspace, asked: Asked, data: Dataset | None) -> Outputs:
        found = good.outputs(asked.artifact, data)
        arrays = {key: edit(array.copy(), asked.value) for key, array in found.arrays.items()}
        return Outputs(arrays, found.cached, digest.of_arrays(arrays.values()))

    return in_predictions(change)


def last_stale(rows: np.ndarray, count: int) -> np.ndarray:
    """The last rows are those of the batch before."""
    rows[-count:] = rows[-2 * count : -count]
    return rows


def in_labels(change: Callable[[np.ndarray, Any], np.ndarray]) -> OfWorkspace:
    """A fault in the labels; the images, and so every output, stay."""

    def inject(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
        def outputs(name: str, data: Dataset | None = None) -> Outputs:
            return workspace.outputs(name, None if data is None else workspace.test)

        test = workspace.test
        assert test.labels is not None
        wrong = replace(test, labels=change(test.labels, asked.value))
        subject = replace(workspace.subject, test=wrong)
        return workspace.injected(Store(folder / "store"), subject=subject, outputs=outputs)

    return inject


def training_images(test: Dataset, workspace: Workspace) -> Dataset:
    """As many of the images that calibration draws from."""
    train = workspace.subject.train
    assert train is not None
    return train.subset(np.arange(min(len(train), len(test))))


def as_shipped(change: Callable[[np.ndarray], np.ndarray]) -> OfWorkspace:
    """A fault of the preprocessing that ships: it gives other images than that of training."""

    def inject(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
        test = workspace.test.subset(np.arange(min(len(workspace.test), 200)))
        training = Prepared(test.images, "training")
        given = Prepared(change(test.images), "what ships")
        shipped = Shipped(test, given, replace(training, recipe=Recipe()), Recipe(), None)
        subject = replace(workspace.subject, shipped=shipped)
        return workspace.injected(Store(folder / "store"), subject=subject)

    return inject


OPERATORS: Mapping[str, OfWorkspace] = {
    "runs:reversed": in_runs(reversed_in_parts),
    "runs:reused": in_runs(result_reused),
    "runs:noise": in_runs(noisy),
    "outputs:subset": of_rows(lambda rows, share: rows[: round(len(rows) * share)]),
    "outputs:last-stale": of_rows(last_stale),
    "outputs:of-another": in_predictions(lambda good, asked, data: good.outputs(asked.value, data)),
    "labels:permuted": in_labels(lambda labels, order: np.take(order, labels)),
    "labels:off": in_labels(lambda labels, by: (labels + by) % (labels.max() + 1)),
    "shipped:reversed": as_shipped(lambda images: images[..., ::-1]),
    "shipped:scaled": as_shipped(lambda images: images / np.float32(255)),
    "test:of-training": lambda good, folder, _: in_test(training_images)(good, folder),
}
"""Name to a fault of a measurement."""
