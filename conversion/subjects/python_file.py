"""Images from a Python file that the user names as data; the file is executed."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from conversion.core import digest
from conversion.core.errors import UserError
from conversion.core.user_code import KERAS, UserFile, execute
from conversion.subjects.dataset import Dataset, dataset_of
from conversion.subjects.resizing import resized

T = TypeVar("T")

LARGEST = 8 * 2**30
"""Bytes that a generator may give before it is taken for one that never ends."""
YIELDS = "yield images"
PROTOCOL = "images(), or test() and perhaps train()"


def read_python(
    path: Path, size: tuple[int, int] | None = None, labelled: bool = True
) -> tuple[Dataset | None, Dataset]:
    """Execute a file and gather what its generators yield.

    Args:
        path: the file. It defines `images()`, or `test()` and perhaps `train()`: functions without
            arguments that yield an image or ``(image, label)``, one at a time, and end.
        size: height and width that each image is resized to; None leaves their size.
        labelled: whether labels are looked at.

    Returns:
        The training set, None where the file has none, and the test set.

    Raises:
        UserError: the file lacks the functions, raises (the sentence names its line), or yields
            what is no image.
    """
    file = _looked_at(path)
    module = guarded(path, YIELDS, lambda: execute(file))
    names = [name for name in ("images", "test", "train") if callable(getattr(module, name, None))]
    if ("images" in names) == ("test" in names) or names == ["images", "train"]:
        raise UserError(
            f"Expected {path.name} to define {PROTOCOL}; it has "
            f"{', '.join(f'{name}()' for name in names) or 'none of them'}."
        )
    source = f"{path.name} (sha256 {file.digest[:12]})"
    sets = {}
    for name in names:
        images, labels = _gathered(module, name, path, f"{source}, {name}()", size)
        words = f"{source}, {name}()"
        sets[name] = dataset_of(images, _labels(labels, words) if labelled else None, words)
    return sets.get("train"), sets["test" if "test" in sets else "images"]


def _looked_at(path: Path) -> UserFile:
    """The file before it is executed; TensorFlow has a process of its own, and this is not it."""
    content = path.read_bytes()

    def imported() -> set[str]:
        found = list(ast.walk(ast.parse(content, str(path))))
        plain = {a.name for node in found if isinstance(node, ast.Import) for a in node.names}
        return plain | {node.module or "" for node in found if isinstance(node, ast.ImportFrom)}

    heavy = {name.split(".")[0] for name in guarded(path, YIELDS, imported)} & {*KERAS}
    if heavy:
        raise UserError(
            f"Expected {path.name} to yield images without {' or '.join(sorted(heavy))}, which "
            "cannot share a process with PyTorch: read them with numpy or Pillow."
        )
    return UserFile(path.resolve(), digest.of_bytes(content), is_for_keras=False)


def guarded(path: Path, does: str, run: Callable[[], T]) -> T:
    """Run something of the user's; whatever it raises is one sentence with the line.

    Args:
        path: the file that it is in.
        does: what the file should do, for the sentence.
        run: runs it.

    Raises:
        UserError: it raised.
    """
    try:
        return run()
    except (Exception, SystemExit) as error:
        inner = error.__cause__ if isinstance(error, UserError) else error
        if inner is None:
            raise
        line = _line(inner, path)
        said = " ".join(str(inner).split())[:200]
        raise UserError(
            f"Expected {path.name} to {does}; line {line} raises {type(inner).__name__}: "
            f"{said or 'no reason given'}."
        ) from inner


def _line(error: BaseException, path: Path) -> int | str:
    """The last line of the file that the error went through."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame.lineno for frame in frames if Path(frame.filename) == path.resolve()]
    return next((line for line in reversed(ours) if line is not None), "unknown")


def _gathered(
    module: ModuleType, name: str, path: Path, source: str, size: tuple[int, int] | None
) -> tuple[np.ndarray, list[Any]]:
    images: list[np.ndarray] = []
    labels: list[Any] = []
    total = 0
    for item in _items(module, name, path):
        image, label = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        array = _image(image, len(images), source)
        if size is not None:
            array = resized(array[None], size, source)[0]
        if images and array.shape != images[0].shape:
            raise UserError(
                f"Expected images of one shape in {source}; image 0 is {images[0].shape} and image "
                f"{len(images)} is {array.shape}: resize them to the model's input."
            )
        total += array.nbytes
        if total > LARGEST:
            raise UserError(
                f"Expected {source} to end; it has given {len(images)} images, {total / 2**30:.0f} "
                "GB: yield each image once."
            )
        images.append(array)
        labels.append(label)
    if not images:
        raise UserError(f"Expected at least one image from {source}; it yields none.")
    return np.stack(images), labels


def _items(module: ModuleType, name: str, path: Path) -> Iterator[Any]:
    """What the user's generator yields; its errors name its line."""
    items = guarded(path, YIELDS, lambda: iter(getattr(module, name)()))
    end = object()
    while (item := guarded(path, YIELDS, lambda: next(items, end))) is not end:
        yield item


def _image(image: Any, index: int, source: str) -> np.ndarray:
    """One image as an array of numbers.

    Raises:
        UserError: it is none.
    """
    try:
        array = np.asarray(image)
    except Exception:  # rows of different lengths, or an object that refuses
        array = np.empty((), object)
    if array.dtype.kind not in "uif" or not array.ndim:
        found = f"{array.dtype} {array.shape}" if array.dtype.kind != "O" else type(image).__name__
        raise UserError(
            f"Expected an image or (image, label) from {source}; item {index} is {found}: yield "
            "arrays of numbers, one image at a time."
        )
    return array


def _labels(labels: list[Any], source: str) -> np.ndarray | None:
    """The labels as one array; None where no image has one.

    Raises:
        UserError: only some images have one, or their shapes differ.
    """
    missing = sum(label is None for label in labels)
    if missing == len(labels):
        return None
    if missing:
        raise UserError(
            f"Expected (image, label) for every image of {source}, or for none; {missing} of "
            f"{len(labels)} have no label."
        )
    try:
        return np.stack([np.asarray(label) for label in labels])
    except ValueError:
        raise UserError(
            f"Expected one class number for each image of {source}; their shapes differ."
        ) from None
