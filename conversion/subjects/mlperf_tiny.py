"""MLPerf Tiny's image classification reference: ResNet8 and CIFAR-10."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import platformdirs

from conversion.core import digest
from conversion.core.errors import MissingDependency, UserError
from conversion.readers import read_spec
from conversion.subjects import Absent, Subject
from conversion.subjects.data import Dataset, load_data
from conversion.subjects.folders import CIFAR10_FOLDER, read_cifar10

NAME = "mlperf-tiny"
DATA_DIR = "CONVERSION_DATA_DIR"
FLOOR = 85.0
"""Percent: MLPerf Tiny's target for image classification (its rules, table of benchmarks)."""
COMMAND = f"conversion fetch {NAME}"

MODEL = Path("models", "pretrainedResnet.h5")
SHA256 = "5f938a8eea605438cc7360aa13c987bc6d7bd0c8d931b2917361ae7ae4eeda2f"
# Upstream, other commits hold another network (26, 52 and 104 channels) under the same name.
COMMIT = "1afd2c9820f795965a6134facd0b4dfae41ef23f"
URL = (
    f"https://raw.githubusercontent.com/mlcommons/tiny/{COMMIT}/benchmark/training/"
    "image_classification/trained_models/pretrainedResnet.h5"
)

ARCHIVE = Path("data", "cifar10.npz")
BATCHES = Path("data", CIFAR10_FOLDER)
IMAGES = (ARCHIVE, BATCHES, Path(CIFAR10_FOLDER))
"""Where the images may be, in the order in which they are looked for."""

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def folder() -> Path:
    """Where the files are looked for: `CONVERSION_DATA_DIR`, or else what `fetch` fills."""
    named = os.environ.get(DATA_DIR)
    return Path(named) if named else platformdirs.user_data_path("conversion") / NAME


def subject() -> Subject:
    """The reference model with CIFAR-10.

    Returns:
        The subject; its training images are all that the folder has (50,000 from torchvision).

    Raises:
        Absent: the model or the images are not on this machine.
        UserError: the model's SHA-256 is another, or the images cannot be read.
    """
    root = folder()
    model, images = root / MODEL, _images(root)
    missing = [] if model.is_file() else [str(MODEL)]
    if images is None:
        missing.append(f"{ARCHIVE} (or {BATCHES})")
    if missing or images is None:
        raise Absent(f"{NAME} needs {' and '.join(missing)} in {root}; to get it: {COMMAND}")
    found = digest.of_file(model)
    if found != SHA256:
        raise UserError(
            f"Expected {model} with SHA-256 {SHA256}; found {found}: remove it, then {COMMAND}"
        )
    train, test = load_data(images)
    pool = None if train is None else _named(train)
    return Subject(NAME, model, read_spec(model), test=_named(test), train=pool, floor=FLOOR)


def fetch(root: Path | None = None) -> Path:
    """Bring the model and the images to where `subject` looks for them; what is there stays.

    Args:
        root: the folder to fill; by default `CONVERSION_DATA_DIR` or the user's data folder.

    Returns:
        The folder.

    Raises:
        UserError: something could not be downloaded, verified or written.
        MissingDependency: pooch or torchvision is not installed.
    """
    root = folder() if root is None else root
    try:
        import pooch
        from torchvision.datasets import CIFAR10
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision does not match torch
        raise MissingDependency(
            f"Fetching {NAME} needs pooch and torchvision ({_line(error)}): install them."
        ) from error

    def fetch_model() -> None:
        place = root / MODEL
        place.parent.mkdir(parents=True, exist_ok=True)
        # pooch writes beside the place, compares the hash, and moves the file in one step
        pooch.retrieve(URL, f"sha256:{SHA256}", fname=place.name, path=place.parent)

    def fetch_images() -> None:
        if _images(root) not in (None, root / BATCHES) or _is_whole(root / BATCHES):
            return
        place = root / BATCHES
        place.parent.mkdir(parents=True, exist_ok=True)
        # torchvision unpacks file by file under the final name: let it do so in a folder aside
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=place.parent) as aside:
            CIFAR10(aside, download=True)
            if place.exists():
                place.rename(Path(aside, "damaged"))
            Path(aside, CIFAR10_FOLDER).rename(place)

    by_hand = f"the files there by hand, {root / MODEL} and {root / BATCHES}"
    for words, step in ((f"the model from {URL}", fetch_model), ("CIFAR-10", fetch_images)):
        try:
            step()
        except Exception as error:  # sockets, HTTP, tar, hashes and disks: a dozen kinds
            raise UserError(
                f"Could not fetch {words} ({_line(error)}): try again, or place {by_hand}."
            ) from error
    return root


def _images(root: Path) -> Path | None:
    return next((root / place for place in IMAGES if (root / place).exists()), None)


def _is_whole(batches: Path) -> bool:
    if not batches.is_dir():
        return False
    try:
        read_cifar10(batches.parent)
    except UserError:
        return False
    return True


def _named(dataset: Dataset) -> Dataset:
    return replace(dataset, classes=CLASSES)


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
