"""A subject's images: reading them, checking that they fit a model, drawing sets from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from conversion.core.errors import UserError
from conversion.subjects.dataset import (
    Dataset,
    as_images,
    as_labels,
    chunks,
    refuse_other_count,
)
from conversion.subjects.folders import read_folder
from conversion.subjects.npz import read_arrays, read_npz
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.python_file import read_python

__all__ = ["Dataset", "check_fits", "draw_stratified", "hold_out", "load_data"]

SHUFFLE_SEED = 0
LARGEST_SHARE = 5
"""A calibration set takes at most one of so many images from a set that is also evaluated on."""


def load_data(
    data: Path | Mapping[str, np.ndarray],
    preprocessing: Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    labelled: bool = True,
    channels: int = 3,
) -> tuple[Dataset | None, Dataset]:
    """Read images, with labels or without; a set whose labels come class after class is shuffled.

    Args:
        data: a Keras-style `.npz`, or arrays in memory under the same names; a
            `cifar-10-batches-py` folder or its parent, or a folder with one folder of images a
            class, perhaps under `train/` and `test/`; or a Python file, which is executed (see
            `python_file`).
        preprocessing: what is done to the images, once; nothing by default.
        size: height and width that images are resized to; None leaves their size.
        labelled: whether labels are looked at; of a model without class scores they are targets.
        channels: of the model, 1 or 3, to which files of images are converted.

    Returns:
        The training set, None where there is none, and the test set.

    Raises:
        UserError: nothing is there, or it cannot be read as one of these, or the preprocessing does
            not fit the images.
    """
    if isinstance(data, Mapping):
        train, test = read_arrays(data, "what was given", "arrays in memory", labelled)
    elif not data.exists():
        raise UserError(f"Expected an .npz file or a folder of images at {data}; nothing is there.")
    elif data.is_dir():
        train, test = read_folder(data, size, channels)
    elif data.suffix == ".py":
        train, test = read_python(data, size, labelled)
    else:
        train, test = read_npz(data, labelled)
    if not labelled:
        train = None if train is None else replace(train, labels=None)
        test = replace(test, labels=None)
    done = preprocessing or Preprocessing()
    pool = None if train is None else _prepared(_shuffled(train), done, size)
    return pool, _prepared(_shuffled(test), done, size)


def _prepared(
    dataset: Dataset, preprocessing: Preprocessing, size: tuple[int, int] | None
) -> Dataset:
    if not preprocessing.words:
        return dataset
    images = preprocessing.apply(dataset.images, size, dataset.source or "the data")
    return replace(dataset, images=images, preprocessing=preprocessing.words)


def _shuffled(dataset: Dataset) -> Dataset:
    """The set, in another order where its labels come class after class.

    A batch of one class hides faults that exchange or repeat the rows of a batch.
    """
    labels = dataset.labels
    if labels is None or not _class_after_class(labels):
        return dataset
    order = np.random.RandomState(SHUFFLE_SEED).permutation(len(labels))  # frozen by NEP 19
    source = f"{dataset.source}, shuffled with seed {SHUFFLE_SEED}"
    return replace(dataset.subset(order), source=source)


def _class_after_class(labels: np.ndarray) -> bool:
    """Whether every class is one run, there are several, and a run is longer than one image."""
    classes = len(np.unique(labels))
    runs = int(np.count_nonzero(np.diff(labels))) + 1
    return 1 < classes == runs < len(labels)


def check_fits(dataset: Dataset, input_shape: tuple[int | None, ...], outputs: int | None) -> None:
    """Refuse a set that a model cannot be evaluated on.

    Args:
        dataset: the images and perhaps labels.
        input_shape: the model's input without the batch axis; None where a size is open.
        outputs: the length of the model's output; None where it has no classes. A single output
            means two classes.

    Raises:
        UserError: the set is empty, its images have another shape, dtype or range or hold NaN or
            Inf, or its labels are not one class number for each image.
    """
    source = dataset.source or "the data"
    images = as_images(dataset.images, source)
    if not len(images):
        raise UserError(f"Expected at least one image in {source}; found none.")
    _check_shape(images.shape, input_shape, source)
    broken = sum(
        int((~np.isfinite(chunk)).reshape(len(chunk), -1).any(axis=1).sum())
        for chunk in chunks(images if images.dtype.kind == "f" else images[:0])
    )
    if broken:
        raise UserError(
            f"Expected finite pixels; {broken} of {len(images)} images in {source} hold NaN or "
            "Inf: take them out."
        )
    if dataset.labels is None:
        return
    labels = as_labels(dataset.labels, source)
    refuse_other_count(images, labels, source)
    top = None if outputs is None else max(outputs, 2) - 1
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (top is not None and high > top):
        expected = "from 0" if top is None else f"from 0 to {top}"
        raise UserError(
            f"Expected labels {expected}; found {low} to {high} in {source}: number the classes "
            "in the order of the model's outputs."
        )


def _check_shape(found: tuple[int, ...], input_shape: tuple[int | None, ...], source: str) -> None:
    sizes = found[1:]
    if len(sizes) == len(input_shape) and all(
        want in (None, size) for want, size in zip(input_shape, sizes, strict=True)
    ):
        return
    expected = ", ".join(["N", *("any" if size is None else str(size) for size in input_shape)])
    remedy = "resize them to the model's input (--resize does)"
    if len(input_shape) != 3:
        remedy = "bring what the model's input takes"
    if len(sizes) == len(input_shape) - 1:
        remedy = "add the channel axis at the end"
    elif len(sizes) == len(input_shape) == 3 and input_shape[-1] == sizes[0] != sizes[-1]:
        remedy = "transpose them to channels last"
    raise UserError(f"Expected images of shape ({expected}); found {found} in {source}: {remedy}.")


def draw_stratified(labels: np.ndarray | None, total: int, count: int, seed: int) -> np.ndarray:
    """Draw without putting back, each class in proportion to its size.

    Args:
        labels: ``(total,)`` int64; None draws from all alike.
        total: how many there are to draw from.
        count: how many to draw.
        seed: of the order; the stream is frozen by NEP 19.

    Returns:
        ``(count,)`` int64 indices in a drawn order that mixes the classes.

    Raises:
        UserError: `count` is negative or more than there are, or the labels are not `total`.
    """
    if not 0 <= count <= total:
        raise UserError(f"Expected to draw between 0 and {total} images; got {count}.")
    if labels is not None and len(labels) != total:
        raise UserError(f"Expected {total} labels to draw by; got {len(labels)}.")
    random = np.random.RandomState(seed)
    if labels is None or not total:
        return random.permutation(total)[:count].astype(np.int64)
    _, class_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    shares, rest = np.divmod(sizes.astype(np.int64) * count, total)
    largest_rest = np.argsort(-rest, kind="stable")
    shares[largest_rest[: count - shares.sum()]] += 1
    drawn = [
        random.permutation(np.flatnonzero(class_of.reshape(-1) == index))[:share]
        for index, share in enumerate(shares)
    ]
    return random.permutation(np.concatenate(drawn)).astype(np.int64)


def hold_out(dataset: Dataset, count: int = 1000, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Split a user's only labelled set into images to calibrate on and images to evaluate on.

    Images of equal content stay together, so that no picture is on both sides.

    Args:
        dataset: the only set there is.
        count: how many to hold out for calibration; at most a fifth of the set is taken.
        seed: of the draw, which is stratified by class where there are labels.

    Returns:
        The calibration pool in drawn order, and the rest in the set's order.

    Raises:
        UserError: the set is too small, or its images are too much alike, to hold any out.
    """
    if count < 1:
        raise UserError(f"Expected to hold out at least one image; got {count}.")
    room = min(count, len(dataset) // LARGEST_SHARE)
    groups: dict[str, list[int]] = {}
    for index, content in enumerate(dataset.image_digests()):
        groups.setdefault(content, []).append(index)
    alike = list(groups.values())
    labels = None if dataset.labels is None else dataset.labels[[group[0] for group in alike]]
    drawn = draw_stratified(labels, len(alike), min(room, len(alike)), seed)
    # Where groups of equal images do not fit into the room, others take their place.
    spare = np.random.RandomState(seed).permutation(np.setdiff1d(np.arange(len(alike)), drawn))
    pool: list[int] = []
    for group in (alike[index] for index in (*drawn, *spare)):
        if len(pool) + len(group) <= room:
            pool += group
    if not pool:
        raise UserError(
            f"Expected enough different images to hold out 1 in {LARGEST_SHARE} for calibration; "
            f"{dataset.source or 'the data'} has {len(dataset)}, of which {len(alike)} differ: "
            "bring training images (x_train)."
        )
    taken = np.array(pool, np.int64)
    rest = np.setdiff1d(np.arange(len(dataset)), taken)
    return _part(dataset, taken, "held out"), _part(dataset, rest, "the rest")


def _part(dataset: Dataset, indices: np.ndarray, words: str) -> Dataset:
    part = dataset.subset(indices)
    return replace(part, source=f"{dataset.source}, {words}")
