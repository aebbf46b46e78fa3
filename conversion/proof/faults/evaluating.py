"""Faults of what accuracy is counted on: predictions, labels and images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from conversion.core import digest
from conversion.core.artifact import Store
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import in_test
from conversion.subjects.data import Dataset
from conversion.workspace import Outputs, Workspace


def in_predictions(name: str, change: Callable[[Workspace, Dataset | None], Outputs]) -> Inject:
    """A fault in what an evaluation hands on as an artifact's outputs.

    Args:
        name: the artifact.
        change: gives the outputs on a data set, or on the parity images.
    """

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        def outputs(asked: str, data: Dataset | None = None) -> Outputs:
            if asked == name:
                return change(workspace, data)
            return workspace.outputs(asked, data)

        return workspace.injected(Store(folder / "store"), outputs=outputs)

    return inject


def of_rows(name: str, edit: Callable[[np.ndarray], np.ndarray]) -> Inject:
    """A fault in the rows of an artifact's outputs on the labelled images and the parity images."""

    def change(workspace: Workspace, data: Dataset | None) -> Outputs:
        good = workspace.outputs(name, data)
        arrays = {key: edit(array.copy()) for key, array in good.arrays.items()}
        return Outputs(arrays, good.cached, digest.of_arrays(arrays.values()))

    return in_predictions(name, change)


def last_batch_stale(rows: np.ndarray) -> np.ndarray:
    """The last 16 rows are those of the batch before."""
    rows[-16:] = rows[-32:-16]
    return rows


def in_labels(change: Callable[[np.ndarray], np.ndarray]) -> Inject:
    """A fault in the labels; the images, and so every output, stay."""

    def wrong(test: Dataset) -> Dataset:
        assert test.labels is not None
        return replace(test, labels=change(test.labels))

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        def outputs(asked: str, data: Dataset | None = None) -> Outputs:
            return workspace.outputs(asked, None if data is None else workspace.test)

        subject = replace(workspace.subject, test=wrong(workspace.test))
        return workspace.injected(Store(folder / "store"), subject=subject, outputs=outputs)

    return inject


def cat_for_dog(labels: np.ndarray) -> np.ndarray:
    """Two classes are exchanged: 3 and 5, cat and dog of CIFAR-10."""
    order = np.array([0, 1, 2, 5, 4, 3, 6, 7, 8, 9])
    return np.take(order, labels)


def off_by_one(labels: np.ndarray) -> np.ndarray:
    """Labels are counted from 1, and the last class is 0."""
    return (labels + 1) % 10


def tested_on_training_images(workspace: Workspace, folder: Path) -> Workspace:
    """Accuracy is counted on the images that calibration draws from."""
    train = workspace.subject.train
    assert train is not None
    first = train.subset(np.arange(min(len(train), len(workspace.test))))
    return in_test(lambda test: first)(workspace, folder)


def _fault(
    name: str, artifact: str, magnitude: str, check: str, where: str, inject: Inject
) -> Fault:
    return Fault(name, "measurement", artifact, magnitude, check, where, inject)


FAULTS: tuple[Fault, ...] = (
    _fault(
        "evaluated-on-a-subset",
        "onnx-int8",
        "a tenth of the images",
        "evidence",
        "100 of 1000 images",
        of_rows("onnx-int8", lambda rows: rows[: len(rows) // 10]),
    ),
    _fault(
        "last-batch-stale",
        "onnx-fp32",
        "the last 16 rows",
        "output-error",
        "dense",
        of_rows("onnx-fp32", last_batch_stale),
    ),
    _fault(
        "predictions-compared-with-themselves",
        "onnx-fp32",
        "every image",
        "evidence",
        "Keras's own bytes",
        in_predictions("onnx-fp32", lambda good, data: good.outputs("keras-fp32", data)),
    ),
    _fault(
        "float-predictions-for-int8",
        "torch-int8",
        "every image",
        "evidence",
        "torch-fp32's own bytes",
        in_predictions("torch-int8", lambda good, data: good.outputs("torch-fp32", data)),
    ),
    _fault(
        "predictions-of-another-artifact",
        "onnx-int8",
        "every image",
        "evidence",
        "images get other outputs when the file is asked again",
        in_predictions("onnx-int8", lambda good, data: good.outputs("torch-int8", data)),
    ),
    _fault(
        "tested-on-training-images",
        "onnx-int8",
        "every image",
        "calibration",
        "images are also test images",
        tested_on_training_images,
    ),
    _fault(
        "labels-of-two-classes-exchanged",
        "keras-fp32",
        "2 of 10 classes",
        "top1",
        "class",
        in_labels(cat_for_dog),
    ),
    _fault(
        "labels-off-by-one",
        "onnx-fp32",
        "1 class",
        "top1",
        "class",
        in_labels(off_by_one),
    ),
)
