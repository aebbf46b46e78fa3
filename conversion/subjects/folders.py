"""Labelled images from folders: CIFAR-10's own batches, or one folder of images a class."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from conversion.core.errors import MissingDependency, UserError
from conversion.core.journal import LOG
from conversion.subjects.dataset import Dataset, dataset_of
from conversion.subjects.decoding import KERAS_MODES, image_of
from conversion.subjects.resizing import resized

CIFAR10_FOLDER = "cifar-10-batches-py"
SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff", ".webp"))


def read_folder(
    path: Path, size: tuple[int, int] | None = None, channels: int = 3
) -> tuple[Dataset | None, Dataset]:
    """Read whichever kind of folder it is.

    Args:
        path: CIFAR-10's `cifar-10-batches-py` or its parent; or one folder of images a class,
            directly or under `test/` and perhaps `train/`.
        size: height and width that each image is resized to; None leaves their size.
        channels: of the model, to which images are converted.

    Returns:
        The training set, None where there is none, and the test set.

    Raises:
        UserError: the folder is of neither kind, or what is in it cannot be read.
        MissingDependency: the package that reads it is not installed.
    """
    for folder in (path.absolute(), path.absolute() / CIFAR10_FOLDER):
        if folder.name == CIFAR10_FOLDER and folder.is_dir():
            return read_cifar10(folder.parent)
    train, test = path / "train", path / "test"
    if _folders(test):
        if not _folders(train):
            return None, read_class_folders(test, size, channels)
        sets = read_class_folders(train, size, channels), read_class_folders(test, size, channels)
        if sets[0].classes != sets[1].classes:
            odd = sorted(set(sets[0].classes) ^ set(sets[1].classes))
            raise UserError(
                f"Expected the same class folders in {train} and {test}; only one of them has: "
                f"{', '.join(odd)}."
            )
        return sets
    if _folders(train):
        raise UserError(f"Expected a folder 'test' beside {train}; there is none with classes.")
    return None, read_class_folders(path, size, channels)


def read_cifar10(root: Path) -> tuple[Dataset, Dataset]:
    """Read CIFAR-10's python batches; torchvision compares their checksums before it opens them.

    Args:
        root: the folder that `cifar-10-batches-py` is in.

    Returns:
        All 50,000 training images and all 10,000 test images, uint8, in their own order.

    Raises:
        UserError: a file is missing or its checksum is another.
        MissingDependency: torchvision is not installed.
    """
    try:
        from torchvision.datasets import CIFAR10
    except (ImportError, RuntimeError) as error:  # RuntimeError: it does not match torch
        raise MissingDependency(
            f"Reading {CIFAR10_FOLDER} needs torchvision in the version that matches torch "
            f"({_first_line(error)}): install the pair, or pass an .npz file."
        ) from error

    def read(train: bool) -> Dataset:
        batches = CIFAR10(root, train=train, download=False)
        split = "train" if train else "test"
        return dataset_of(
            np.ascontiguousarray(batches.data),
            np.asarray(batches.targets),
            f"{CIFAR10_FOLDER}, {split}",
            tuple(batches.classes),
        )

    try:
        return read(train=True), read(train=False)
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"Expected the seven files of CIFAR-10 with their known checksums in "
            f"{root / CIFAR10_FOLDER}; one is missing or damaged: unpack the archive again."
        ) from error


def read_class_folders(
    root: Path, size: tuple[int, int] | None = None, channels: int = 3
) -> Dataset:
    """Read one folder of images a class; labels count the folders in sorted order.

    Args:
        root: the folder that holds the class folders; hidden ones are passed over.
        size: height and width that each image is resized to; None leaves their size.
        channels: of the model, to which images are converted as Keras's loader does.

    Returns:
        ``(N, H, W, channels)`` uint8, float32 where they were resized, class after class, files in
        sorted order.

    Raises:
        UserError: there are no class folders, one has no images, an image cannot be read, or the
            sizes differ.
        MissingDependency: Pillow is not installed.
    """
    folders = _folders(root)
    if not folders:
        raise UserError(
            f"Expected one folder of images a class, or {CIFAR10_FOLDER}, in {root}; it has no "
            "folders."
        )
    files = [_images(folder) for folder in folders]
    for folder, found in zip(folders, files, strict=True):
        if not found:
            raise UserError(
                f"Expected images ({', '.join(sorted(SUFFIXES))}) in the class folder {folder}; "
                "it has none."
            )
    paths = [path for found in files for path in found]
    first, _ = _image(paths[0], size, channels)
    converted = Counter[str]()
    images = np.empty((len(paths), *first.shape), np.uint8 if size is None else np.float32)
    for index, path in enumerate(paths):
        pixels, mode = _image(path, size, channels)
        converted[mode] += 1
        if pixels.shape != first.shape:
            raise UserError(
                f"Expected images of one size; {paths[0].name} is {_size(first)} and {path} is "
                f"{_size(pixels)}: resize them to the model's input (--resize does)."
            )
        images[index] = pixels
    labels = np.repeat(np.arange(len(files)), [len(found) for found in files])
    source = f"folder {root.name}{_said(converted, channels)}"
    made = dataset_of(images, labels, source, tuple(f.name for f in folders))
    return replace(made, files=tuple(paths))


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if not path.name.startswith("."))
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES and path.is_file())


def _image(path: Path, size: tuple[int, int] | None, channels: int) -> tuple[np.ndarray, str]:
    """An image's pixels, ``(H, W, channels)`` uint8, or float32 of another size, and its mode."""
    pixels, mode = image_of(path, channels=channels)
    return pixels if size is None else resized(pixels[None], size, str(path))[0], mode


def _said(modes: Counter[str], channels: int) -> str:
    """What images were converted; empty where none was."""
    wanted = KERAS_MODES[channels]
    others = [f"{count} of mode {mode}" for mode, count in modes.items() if mode != wanted]
    if not others:
        return ""
    words = f", of which {' and '.join(others)} converted to {wanted} as keras.utils.load_img does"
    LOG.info("%d images%s", modes.total(), words)
    return words


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]}x{pixels.shape[1]}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
