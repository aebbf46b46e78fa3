"""The MLPerf Tiny subject: where it is looked for, how it is verified, how it is fetched."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conversion.core.errors import MissingDependency, UserError
from conversion.subjects import Absent, mlperf_tiny
from conversion.subjects.data import check_fits, load_data

DATA = os.environ.get(mlperf_tiny.DATA_DIR, "")
"""Read before any test changes the environment."""

MODEL = Path(mlperf_tiny.__file__).with_name("embedded.h5").read_bytes()
"""Stands in for the model."""


def has_real_files() -> bool:
    return bool(DATA) and Path(DATA, mlperf_tiny.MODEL).is_file()


real = pytest.mark.skipif(not has_real_files(), reason=f"to get it: {mlperf_tiny.COMMAND}")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the subject is looked for in, and a stand-in for the model's digest."""
    monkeypatch.setenv(mlperf_tiny.DATA_DIR, str(tmp_path))
    monkeypatch.setattr(mlperf_tiny, "SHA256", hashlib.sha256(MODEL).hexdigest())
    return tmp_path


def put_model(root: Path, content: bytes = MODEL) -> None:
    (root / mlperf_tiny.MODEL).parent.mkdir(parents=True)
    (root / mlperf_tiny.MODEL).write_bytes(content)


def put_images(root: Path, train: bool = True) -> None:
    images = np.random.RandomState(0).randint(0, 256, (20, 32, 32, 3)).astype(np.uint8)
    arrays: dict[str, Any] = {"x_test": images, "y_test": np.arange(20) % 10}
    if train:
        arrays |= {"x_train": 255 - images, "y_train": np.arange(20) % 10}
    (root / mlperf_tiny.ARCHIVE).parent.mkdir(parents=True, exist_ok=True)
    np.savez(root / mlperf_tiny.ARCHIVE, **arrays)


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


# --- looking for it -------------------------------------------------------------------------


def test_the_subject_has_the_model_and_both_sets(root: Path) -> None:
    put_model(root)
    put_images(root)
    subject = mlperf_tiny.subject()
    assert subject.name == "mlperf-tiny"
    assert subject.model == root / "models" / "pretrainedResnet.h5"
    assert subject.test is not None
    assert subject.train is not None
    assert subject.test.classes[3] == subject.train.classes[3] == "cat"


def test_training_images_may_be_missing(root: Path) -> None:
    put_model(root)
    put_images(root, train=False)
    assert mlperf_tiny.subject().train is None


@pytest.mark.parametrize("place", mlperf_tiny.IMAGES[1:], ids=str)
def test_the_images_may_be_cifar10_batches(
    root: Path, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    put_model(root)
    (root / place).mkdir(parents=True)
    put_images(root / "other")
    pair = load_data(root / "other" / mlperf_tiny.ARCHIVE)
    opened: list[Path] = []

    def load(path: Path) -> Any:
        opened.append(path)
        return pair

    monkeypatch.setattr(mlperf_tiny, "load_data", load)
    mlperf_tiny.subject()
    assert opened == [root / place]


@pytest.mark.parametrize(
    ("model", "images", "missing"),
    [
        (False, False, ["pretrainedResnet.h5", "cifar10.npz"]),
        (False, True, ["pretrainedResnet.h5"]),
        (True, False, ["cifar10.npz"]),
    ],
    ids=["both", "model", "images"],
)
def test_what_is_absent_is_named_with_the_command_that_brings_it(
    root: Path, model: bool, images: bool, missing: list[str]
) -> None:
    if model:
        put_model(root)
    if images:
        put_images(root)
    with pytest.raises(Absent) as error:
        mlperf_tiny.subject()
    sentence = str(error.value)
    assert sentence.endswith("conversion fetch mlperf-tiny")
    named = re.findall(r"pretrainedResnet\.h5|cifar10\.npz", sentence)
    assert named == missing
    assert str(root) in sentence


def test_a_folder_that_is_named_and_not_there_is_absent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mlperf_tiny.DATA_DIR, str(root / "nowhere"))
    with pytest.raises(Absent, match="nowhere"):
        mlperf_tiny.subject()


@pytest.mark.parametrize("unset", [True, False], ids=["unset", "empty"])
def test_without_the_variable_the_user_data_folder_is_used(
    root: Path, monkeypatch: pytest.MonkeyPatch, unset: bool
) -> None:
    if unset:
        monkeypatch.delenv(mlperf_tiny.DATA_DIR)
    else:
        monkeypatch.setenv(mlperf_tiny.DATA_DIR, "")
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: root / name)
    assert mlperf_tiny.folder() == root / "conversion" / "mlperf-tiny"
    put_model(mlperf_tiny.folder())
    put_images(mlperf_tiny.folder())
    assert mlperf_tiny.subject().model.is_relative_to(root / "conversion")


@pytest.mark.parametrize("content", [b"", MODEL[:-1], MODEL + b"!"], ids=["empty", "cut", "more"])
def test_another_model_under_the_name_is_refused_every_time(root: Path, content: bytes) -> None:
    put_model(root, content)
    put_images(root)
    for _ in range(2):
        with pytest.raises(UserError, match=r"SHA-256 \w{64}; found \w{64}") as error:
            mlperf_tiny.subject()
        assert not isinstance(error.value, Absent)


# --- fetching it ----------------------------------------------------------------------------


class Download:
    """What stands in for the network: pooch's and torchvision's functions, and what they did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.fails: dict[str, Exception] = {}
        monkeypatch.setattr("pooch.retrieve", self.retrieve)
        monkeypatch.setattr("torchvision.datasets.CIFAR10", self.cifar10)

    def retrieve(self, url: str, known_hash: str, *, fname: str, path: Path) -> str:
        self.calls.append("model")
        assert re.search(r"mlcommons/tiny/[0-9a-f]{40}/", url)
        assert known_hash == f"sha256:{mlperf_tiny.SHA256}"
        if "model" in self.fails:
            raise self.fails["model"]
        Path(path, fname).write_bytes(MODEL)
        return str(Path(path, fname))

    def cifar10(self, root: Path, train: bool = True, download: bool = False) -> Any:
        folder = Path(root, "cifar-10-batches-py")
        if download:
            self.calls.append("images")
            Path(root, "cifar-10-python.tar.gz").write_bytes(b"archive")
            folder.mkdir()
            (folder / "data_batch_1").write_bytes(b"half")
            if "images" in self.fails:
                raise self.fails["images"]
            (folder / "test_batch").write_bytes(b"whole")
        elif not (folder / "test_batch").exists():
            raise RuntimeError("Dataset not found or corrupted.")
        self.data = np.zeros((2, 32, 32, 3), np.uint8)
        self.targets = [0, 1]
        self.classes = list(mlperf_tiny.CLASSES)
        return self


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch) -> Download:
    return Download(monkeypatch)


WHOLE = {
    "models/pretrainedResnet.h5",
    "data/cifar-10-batches-py/data_batch_1",
    "data/cifar-10-batches-py/test_batch",
}


def test_fetch_fills_the_folder_that_the_subject_is_found_in(
    root: Path, download: Download
) -> None:
    assert mlperf_tiny.fetch() == root
    assert files(root) == WHOLE
    assert mlperf_tiny.subject().test is not None


def test_fetch_fills_another_folder_when_it_is_told_to(
    root: Path, tmp_path: Path, download: Download
) -> None:
    assert mlperf_tiny.fetch(tmp_path / "there") == tmp_path / "there"
    assert files(tmp_path / "there") == WHOLE


def test_fetch_leaves_whole_images_alone(root: Path, download: Download) -> None:
    mlperf_tiny.fetch()
    mlperf_tiny.fetch()
    assert download.calls.count("images") == 1


def test_fetch_leaves_an_archive_of_images_alone(root: Path, download: Download) -> None:
    put_images(root)
    mlperf_tiny.fetch()
    assert download.calls == ["model"]


def test_fetch_replaces_damaged_images(root: Path, download: Download) -> None:
    (root / mlperf_tiny.BATCHES).mkdir(parents=True)
    (root / mlperf_tiny.BATCHES / "stray").write_bytes(b"stray")
    mlperf_tiny.fetch()
    assert files(root) == WHOLE


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(OSError("Name or service\nnot known"), id="network"),
        pytest.param(ValueError("SHA256 hash does not match"), id="hash"),
        pytest.param(RuntimeError("File not found or corrupted."), id="checksum"),
        pytest.param(EOFError(), id="end-of-file"),
    ],
)
@pytest.mark.parametrize("what", ["model", "images"])
def test_a_failed_fetch_says_what_failed_and_leaves_nothing_half_written(
    root: Path, download: Download, what: str, reason: Exception
) -> None:
    download.fails[what] = reason
    with pytest.raises(UserError) as error:
        mlperf_tiny.fetch()
    sentence = str(error.value)
    assert "\n" not in sentence
    assert {"model": mlperf_tiny.URL, "images": "CIFAR-10"}[what] in sentence
    assert type(reason).__name__ in sentence
    assert str(root / mlperf_tiny.MODEL) in sentence
    assert str(root / mlperf_tiny.BATCHES) in sentence
    assert files(root) == (set() if what == "model" else {"models/pretrainedResnet.h5"})


def test_an_interrupted_fetch_leaves_nothing_half_written(root: Path, download: Download) -> None:
    download.fails["images"] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        mlperf_tiny.fetch()
    assert files(root) == {"models/pretrainedResnet.h5"}


def test_a_folder_that_cannot_be_written_is_said(
    root: Path, tmp_path: Path, download: Download
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="by hand"):
        mlperf_tiny.fetch(tmp_path / "file")


def test_pooch_refuses_a_model_with_another_digest(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real pooch, on a local file in place of the network."""
    from pooch import retrieve

    def copy(url: str, output: Any, _: Any) -> None:
        Path(str(output)).write_bytes(b"another model")

    monkeypatch.setattr(
        "pooch.retrieve", lambda *given, **named: retrieve(*given, **named, downloader=copy)
    )
    with pytest.raises(UserError, match="does not match"):
        mlperf_tiny.fetch()
    assert files(root) == set()


@pytest.mark.parametrize("package", ["pooch", "torchvision.datasets"])
def test_fetch_names_a_missing_package(
    root: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match="pooch and torchvision"):
        mlperf_tiny.fetch()
    assert files(root) == set()


# --- the real files -------------------------------------------------------------------------


@real
def test_the_real_files_fit_together() -> None:
    subject = mlperf_tiny.subject()
    assert subject.test is not None
    assert subject.train is not None
    assert len(subject.test) == 10_000
    for part in (subject.test, subject.train):
        check_fits(part, (32, 32, 3), 10)


@real
def test_the_real_training_and_test_images_share_no_picture() -> None:
    subject = mlperf_tiny.subject()
    assert subject.test is not None
    assert subject.train is not None
    assert not set(subject.train.image_digests()) & set(subject.test.image_digests())


@real
def test_mlperf_tiny_itself_calibrates_on_test_images() -> None:
    samples = Path(DATA, "data", "mlperf_tiny_calibration_samples.npy")
    if not samples.is_file():
        pytest.skip(f"{samples.name} is not in the data folder")
    test = mlperf_tiny.subject().test
    assert test is not None
    theirs = test.subset(np.load(samples, allow_pickle=False))
    assert len(set(theirs.image_digests()) & set(test.image_digests())) == len(theirs) == 500
