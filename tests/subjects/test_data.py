"""Reading, checking and splitting the images that a person brings."""

from __future__ import annotations

import hashlib
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.core.errors import MissingDependency, UserError
from conversion.subjects.data import (
    Dataset,
    check_fits,
    draw_stratified,
    hold_out,
    load_data,
)

SHAPE = (4, 5, 3)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (count, *SHAPE)).astype(np.uint8)


def mixed_labels(count: int, classes: int = 4) -> np.ndarray:
    return np.arange(count, dtype=np.int64) % classes


def a_set(count: int = 40, **changes: Any) -> Dataset:
    given_ = {"images": pictures(count), "labels": mixed_labels(count)} | changes
    return Dataset(**given_)


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def one_sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    sentence = str(error.value)
    assert "\n" not in sentence
    assert 20 < len(sentence) < 700
    return sentence


# --- the data set ---------------------------------------------------------------------------


def test_a_data_set_has_the_length_of_its_images() -> None:
    assert len(a_set(7)) == 7


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"source": "elsewhere"}, False, id="source"),
        pytest.param({"labels": None}, True, id="no-labels"),
        pytest.param({"labels": mixed_labels(40)[::-1].copy()}, True, id="labels"),
        pytest.param({"images": pictures(40)[::-1].copy()}, True, id="order"),
        pytest.param({"images": pictures(40).astype(np.float32)}, True, id="dtype"),
    ],
)
def test_the_digest_follows_images_and_labels(change: dict[str, Any], differs: bool) -> None:
    assert (a_set(**change).digest != a_set().digest) == differs


def test_an_empty_data_set_has_a_digest() -> None:
    assert len(a_set(0).digest) == 64


def test_a_subset_takes_images_and_labels_together_and_in_order() -> None:
    whole = a_set(classes=("a", "b", "c", "d"), source="here")
    part = whole.subset(np.array([5, 2]))
    np.testing.assert_array_equal(part.images, whole.images[[5, 2]])
    assert part.labels is not None
    assert part.labels.tolist() == [1, 2]
    assert (part.classes, part.source) == (whole.classes, whole.source)


def test_a_subset_of_unlabelled_images_is_unlabelled() -> None:
    assert a_set(labels=None).subset(np.array([1])).labels is None


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "float16", ">f4"])
def test_image_digests_do_not_depend_on_the_dtype(dtype: str) -> None:
    assert a_set(images=pictures(40).astype(dtype)).image_digests() == a_set().image_digests()


def test_image_digests_do_not_tell_minus_zero_from_zero() -> None:
    zeros = np.zeros((1, *SHAPE), np.float32)
    assert a_set(images=zeros).image_digests() == a_set(images=-zeros).image_digests()


def test_image_digests_see_one_pixel() -> None:
    changed = pictures(40)
    changed[3, 0, 0, 0] ^= 1
    pairs = zip(a_set().image_digests(), a_set(images=changed).image_digests(), strict=True)
    assert [index for index, (one, other) in enumerate(pairs) if one != other] == [3]


def test_image_digests_are_the_same_across_the_boundary_of_a_chunk() -> None:
    many = Dataset(np.repeat(pictures(1), 1001, axis=0), None)
    assert len(set(many.image_digests())) == 1
    assert len(many.image_digests()) == 1001


# --- .npz files -----------------------------------------------------------------------------


def test_a_keras_file_gives_training_and_test_sets(tmp_path: Path) -> None:
    file = saved(
        tmp_path / "mine.npz",
        x_train=pictures(8),
        y_train=mixed_labels(8),
        x_test=pictures(6, seed=1),
        y_test=mixed_labels(6),
    )
    train, test = load_data(file)
    assert train is not None
    np.testing.assert_array_equal(train.images, pictures(8))
    np.testing.assert_array_equal(test.images, pictures(6, seed=1))
    assert (train.source, test.source) == ("mine.npz, x_train", "mine.npz, x_test")


@pytest.mark.parametrize("names", [("x_test", "y_test"), ("x", "y")], ids="_".join)
def test_a_file_with_one_set_gives_a_test_set_only(tmp_path: Path, names: tuple[str, str]) -> None:
    file = saved(
        tmp_path / "mine.npz", **dict(zip(names, (pictures(6), mixed_labels(6)), strict=True))
    )
    train, test = load_data(file)
    assert train is None
    assert len(test) == 6


def test_labels_may_be_absent(tmp_path: Path) -> None:
    assert load_data(saved(tmp_path / "mine.npz", x=pictures(6)))[1].labels is None


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(mixed_labels(6), id="flat"),
        pytest.param(mixed_labels(6)[:, None], id="column"),
        pytest.param(mixed_labels(6).astype(np.uint8), id="bytes"),
        pytest.param(mixed_labels(6).astype(np.float32), id="floats"),
        pytest.param(np.eye(4, dtype=np.float32)[mixed_labels(6)], id="one-hot-floats"),
        pytest.param(np.eye(4, dtype=bool)[mixed_labels(6)], id="one-hot-booleans"),
    ],
)
def test_labels_of_every_usual_form_become_whole_numbers(
    tmp_path: Path, stored: np.ndarray
) -> None:
    labels = load_data(saved(tmp_path / "mine.npz", x=pictures(6), y=stored))[1].labels
    assert labels is not None
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, mixed_labels(6))


@pytest.mark.parametrize(
    ("stored", "loaded"),
    [("uint8", "uint8"), ("int64", "uint8"), ("float16", "float32"), ("float64", "float32")],
)
def test_images_become_uint8_or_float32_with_the_same_values(
    tmp_path: Path, stored: str, loaded: str
) -> None:
    images = load_data(saved(tmp_path / "mine.npz", x=pictures(6).astype(stored)))[1].images
    assert images.dtype == loaded
    np.testing.assert_array_equal(images, pictures(6))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        pytest.param(np.array([0, 1, np.nan]), "NaN", id="nan"),
        pytest.param(np.array([0, 1, np.inf]), "inf", id="infinite"),
        pytest.param(np.array([0, 1, 1.5]), "1.5", id="fraction"),
        pytest.param(np.array([0, 1, 1e30]), "1e+30", id="huge"),
        pytest.param(np.array(["a", "b", "c"]), "<U1", id="words"),
        pytest.param(np.array([[0.5, 0.5]] * 3), "one-hot", id="soft"),
        pytest.param(np.array([[1, 1]] * 3), "one-hot", id="two-classes-at-once"),
        pytest.param(np.zeros((3, 2, 2)), "(3, 2, 2)", id="rank"),
        pytest.param(np.zeros(2, int), "2 labels", id="too-few"),
        pytest.param(np.zeros(4, int), "4 labels", id="too-many"),
    ],
)
def test_labels_that_are_no_classes_are_refused_at_loading(
    tmp_path: Path, labels: np.ndarray, words: str
) -> None:
    file = saved(tmp_path / "mine.npz", x=pictures(3), y=labels)
    with pytest.raises(UserError) as error:
        load_data(file)
    assert words in one_sentence(error)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_data(tmp_path / "nowhere.npz")
    assert "nowhere.npz" in one_sentence(error)


def test_a_file_without_the_known_arrays_lists_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_data(saved(tmp_path / "mine.npz", pixels=pictures(2), targets=mixed_labels(2)))
    sentence = one_sentence(error)
    assert all(name in sentence for name in ("pixels", "targets", "x_test", "y_test"))


def test_a_file_with_training_images_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="x_train"):
        load_data(saved(tmp_path / "mine.npz", x_train=pictures(2)))


class Payload:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("touched"),))


def test_pickled_arrays_are_refused_and_run_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = saved(tmp_path / "mine.npz", x=np.array([Payload()], dtype=object))
    with pytest.raises(UserError) as error:
        load_data(file)
    assert "pickle" in one_sentence(error)
    assert not Path("touched").exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not an archive at all", id="text"),
        pytest.param(pickle.dumps([1, 2, 3]), id="pickle"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + bytes(64), id="hdf5"),
        pytest.param(b"\x93NUMPY\x01\x00" + bytes(64), id="npy"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.npz"
    file.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_data(file)
    assert str(file) in one_sentence(error)


def test_an_archive_of_other_files_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x_test", "hello")
    with pytest.raises(UserError) as error:
        load_data(file)
    assert "x_test" in one_sentence(error)


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_archive_is_refused(tmp_path: Path, kept: float) -> None:
    file = saved(tmp_path / "mine.npz", x=pictures(50), y=mixed_labels(50))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UserError) as error:
        load_data(file)
    one_sentence(error)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_read_as_it_was(
    tmp_path: Path, data: st.DataObject
) -> None:
    file = saved(tmp_path / "whole.npz", x=pictures(2), y=mixed_labels(2))
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1), label="position")
    content[position] ^= data.draw(st.integers(1, 255), label="bits")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(content)
    try:
        found = load_data(damaged)[1]
    except UserError:
        return
    np.testing.assert_array_equal(found.images, pictures(2))
    # a changed name in the archive's directory loses the labels, and that shows
    assert found.labels is None or found.labels.tolist() == [0, 1]


# --- order ----------------------------------------------------------------------------------

BY_CLASS = np.repeat(np.arange(4), 10)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(BY_CLASS, id="ascending"),
        pytest.param(BY_CLASS[::-1].copy(), id="descending"),
        pytest.param(np.array([2, 0, 3, 1])[BY_CLASS], id="any-order"),
    ],
)
def test_a_set_that_comes_class_after_class_is_shuffled_alike_every_time(
    tmp_path: Path, labels: np.ndarray
) -> None:
    file = saved(tmp_path / "mine.npz", x=pictures(40), y=labels)
    test, again = load_data(file)[1], load_data(file)[1]
    assert test.labels is not None
    assert test.digest == again.digest
    assert np.count_nonzero(np.diff(test.labels)) > 10
    label_of = dict(zip(Dataset(pictures(40), None).image_digests(), labels, strict=True))
    assert [label_of[content] for content in test.image_digests()] == test.labels.tolist()
    assert "shuffled with seed 0" in test.source


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(mixed_labels(40), id="mixed"),
        pytest.param(np.zeros(40, int), id="one-class"),
        pytest.param(np.arange(40), id="one-image-a-class"),
        pytest.param(np.append(BY_CLASS[1:], 0), id="all-but-one-sorted"),
        pytest.param(None, id="no-labels"),
    ],
)
def test_any_other_set_keeps_its_order(tmp_path: Path, labels: np.ndarray | None) -> None:
    arrays = {"x": pictures(40)} | ({} if labels is None else {"y": labels})
    test = load_data(saved(tmp_path / "mine.npz", **arrays))[1]
    np.testing.assert_array_equal(test.images, pictures(40))
    assert "shuffled" not in test.source


# --- folders --------------------------------------------------------------------------------


def save_pictures(root: Path, names: tuple[str, ...], each: int = 3, seed: int = 0) -> Path:
    from PIL import Image

    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for index, picture in enumerate(pictures(each, seed=seed + number)):
            Image.fromarray(picture).save(root / name / f"{index}.png")
    return root


def test_a_folder_a_class_gives_labels_in_sorted_order(tmp_path: Path) -> None:
    train, test = load_data(save_pictures(tmp_path / "mine", ("zebra", "ant", "bee")))
    assert train is None
    assert test.classes == ("ant", "bee", "zebra")
    assert test.labels is not None
    assert np.bincount(test.labels).tolist() == [3, 3, 3]
    assert test.images.dtype == np.uint8
    ants = Dataset(test.images[test.labels == 0], None).image_digests()
    assert set(ants) == set(Dataset(pictures(3, seed=1), None).image_digests())


def test_folders_of_images_do_not_come_class_after_class(tmp_path: Path) -> None:
    labels = load_data(save_pictures(tmp_path / "mine", ("a", "b"), each=20))[1].labels
    assert labels is not None
    assert np.count_nonzero(np.diff(labels)) > 5


def test_train_and_test_folders_give_both_sets(tmp_path: Path) -> None:
    save_pictures(tmp_path / "train", ("a", "b"), each=5)
    save_pictures(tmp_path / "test", ("a", "b"), each=2, seed=9)
    train, test = load_data(tmp_path)
    assert train is not None
    assert (len(train), len(test)) == (10, 4)
    assert not set(train.image_digests()) & set(test.image_digests())


def test_a_test_folder_alone_gives_a_test_set(tmp_path: Path) -> None:
    save_pictures(tmp_path / "test", ("a", "b"), each=2)
    train, test = load_data(tmp_path)
    assert train is None
    assert len(test) == 4


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    test = load_data(save_pictures(tmp_path, ("plane", "train")))[1]
    assert test.classes == ("plane", "train")


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    save_pictures(tmp_path, ("a", "b", ".thumbnails"))
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    test = load_data(tmp_path)[1]
    assert (test.classes, len(test)) == (("a", "b"), 6)


def test_a_class_missing_on_one_side_is_named(tmp_path: Path) -> None:
    save_pictures(tmp_path / "train", ("a", "b", "c"))
    save_pictures(tmp_path / "test", ("a", "c"))
    with pytest.raises(UserError) as error:
        load_data(tmp_path)
    assert one_sentence(error).endswith("b.")


def test_training_folders_without_test_folders_are_refused(tmp_path: Path) -> None:
    save_pictures(tmp_path / "train", ("a", "b"))
    with pytest.raises(UserError, match="'test' beside"):
        load_data(tmp_path)


def spoil_nothing_left(root: Path) -> None:
    for file in (root / "b").iterdir():
        file.unlink()


def spoil_size(root: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 9)).save(root / "b" / "0.png")


def spoil_mode(root: Path) -> None:
    from PIL import Image

    Image.new("I;16", SHAPE[1::-1]).save(root / "b" / "0.png")


def spoil_content(root: Path) -> None:
    (root / "b" / "0.png").write_bytes(b"not a picture")


def spoil_tail(root: Path) -> None:
    file = root / "b" / "0.png"
    file.write_bytes(file.read_bytes()[:60])


def spoil_kind(root: Path) -> None:
    (root / "b" / "0.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 4\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(spoil_nothing_left, "none", id="class-without-images"),
        pytest.param(spoil_size, "9x9", id="another-size"),
        pytest.param(spoil_mode, "mode I;16", id="sixteen-bits"),
        pytest.param(spoil_content, "0.png", id="not-an-image"),
        pytest.param(spoil_tail, "0.png", id="truncated"),
        pytest.param(spoil_kind, "0.png", id="postscript"),
    ],
)
def test_a_folder_with_a_wrong_image_is_refused(tmp_path: Path, spoil: Any, words: str) -> None:
    spoil(save_pictures(tmp_path, ("a", "b")))
    with pytest.raises(UserError) as error:
        load_data(tmp_path)
    assert words in one_sentence(error)


CONVERTED = {
    "grey": ("L", np.uint8([200, 200, 200]), 200),
    "palette": ("P", np.uint8([255, 0, 0]), 76),
    "transparent": ("RGBA", np.uint8([255, 0, 0]), 76),
    "ink": ("CMYK", np.uint8([255, 0, 0]), 76),
    "colour": ("RGB", np.uint8([255, 0, 0]), 76),
}
"""A mode, its pixel of grey level 200 or pure red in RGB, and in grey by ITU-R 601: 0.299 x 255."""


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("mode", "colour", "grey"), CONVERTED.values(), ids=list(CONVERTED))
def test_a_folder_of_other_modes_is_converted_with_a_word(
    tmp_path: Path, mode: str, colour: np.ndarray, grey: int, channels: int
) -> None:
    from PIL import Image

    root = save_pictures(tmp_path, ("a", "b"), each=1)
    name = "0.tif" if mode == "CMYK" else "1.png"
    image = Image.new("RGB", SHAPE[1::-1], tuple(colour.tolist()))
    image.convert(mode).save(root / "b" / name)
    test = load_data(root, channels=channels)[1]
    assert test.labels is not None
    assert test.images.shape == (3, *SHAPE[:2], channels)
    (found,) = [i for i, f in zip(test.images, test.files, strict=True) if f.name == name]
    assert (found == (colour if channels == 3 else np.uint8([grey]))).all()
    wanted = {1: "L", 3: "RGB"}[channels]
    said = f"1 of mode {mode}" in test.source and f"converted to {wanted}" in test.source
    assert said is (mode not in (wanted, "RGB"))


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_data(tmp_path)
    assert "no folders" in one_sentence(error)


# --- CIFAR-10's own files -------------------------------------------------------------------


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `cifar-10-batches-py` of 12 images whose checksums torchvision is told."""
    from torchvision.datasets import CIFAR10

    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write(name: str, content: Any) -> str:
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(number: int) -> dict[str, Any]:
        pixels = np.random.RandomState(number).randint(0, 256, (2, 3072)).astype(np.uint8)
        return {"data": pixels, "labels": [number, 0]}

    names = [f"data_batch_{number}" for number in range(1, 6)]
    train = [[name, write(name, batch(number))] for number, name in enumerate(names, 1)]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", write("test_batch", batch(9))]])
    meta = {"label_names": [f"class {number}" for number in range(10)]}
    monkeypatch.setattr(CIFAR10, "meta", dict(CIFAR10.meta) | {"md5": write("batches.meta", meta)})
    return folder


@pytest.mark.parametrize("given_parent", [True, False], ids=["parent", "folder"])
def test_cifar10_batches_are_read_channels_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_parent: bool
) -> None:
    folder = write_cifar10(tmp_path, monkeypatch)
    train, test = load_data(folder.parent if given_parent else folder)
    assert train is not None
    assert train.labels is not None
    assert (train.images.shape, test.images.shape) == ((10, 32, 32, 3), (2, 32, 32, 3))
    assert train.labels.tolist() == [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    planes = np.random.RandomState(9).randint(0, 256, (2, 3072)).reshape(2, 3, 32, 32)
    np.testing.assert_array_equal(test.images, planes.transpose(0, 2, 3, 1))
    assert test.classes[3] == "class 3"


@pytest.mark.parametrize("spoiled", ["data_batch_2", "test_batch", "batches.meta"])
def test_a_cifar10_batch_with_another_checksum_is_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    folder = write_cifar10(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    (folder / spoiled).write_bytes(pickle.dumps(Payload()))
    with pytest.raises(UserError) as error:
        load_data(folder)
    assert "checksum" in one_sentence(error)
    assert not Path("touched").exists()


@pytest.mark.parametrize("package", ["torchvision.datasets", "PIL"])
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    folders = ("a", "b") if package == "PIL" else ("cifar-10-batches-py",)
    save_pictures(tmp_path, folders)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency) as error:
        load_data(tmp_path)
    assert {"PIL": "Pillow"}.get(package, "torchvision") in one_sentence(error)


# --- does the set fit the model? ------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "shape", "outputs"),
    [
        pytest.param({}, SHAPE, 4, id="exact"),
        pytest.param({}, (None, None, 3), 4, id="open-size"),
        pytest.param({}, SHAPE, 10, id="classes-without-images"),
        pytest.param({"labels": None}, SHAPE, 4, id="no-labels"),
        pytest.param({}, SHAPE, None, id="no-classes"),
        pytest.param({"labels": mixed_labels(40, 2)}, SHAPE, 1, id="one-sigmoid-two-classes"),
        pytest.param({"images": pictures(40).astype(np.float32)}, SHAPE, 4, id="float32"),
        pytest.param({"images": pictures(40).astype(np.float64)}, SHAPE, 4, id="float64"),
        pytest.param({"images": pictures(40).astype(np.int32)}, SHAPE, 4, id="whole-numbers"),
        pytest.param({"images": pictures(40).reshape(40, -1)}, (60,), 4, id="flat"),
    ],
)
def test_a_set_that_fits_is_accepted(
    change: dict[str, Any], shape: tuple[int | None, ...], outputs: int | None
) -> None:
    check_fits(a_set(**change), shape, outputs)


def with_pixel(value: float, dtype: str = "float32") -> np.ndarray:
    images = pictures(40).astype(dtype)
    images[39, -1, -1, -1] = value
    return images


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"images": pictures(40)[:, :3]}, "(40, 3, 5, 3)", id="size"),
        pytest.param({"images": pictures(40)[..., 0]}, "add the channel axis", id="no-channels"),
        pytest.param(
            {"images": pictures(40).transpose(0, 3, 1, 2)}, "channels last", id="channels-first"
        ),
        pytest.param({"images": pictures(40) > 9}, "bool", id="booleans"),
        pytest.param({"images": pictures(40).astype(complex)}, "complex", id="complex"),
        pytest.param({"images": pictures(40).astype(str)}, "<U", id="words"),
        pytest.param({"images": np.zeros((), np.uint8)}, "shape ()", id="scalar"),
        pytest.param({"images": with_pixel(-1, "int16")}, "-1 to 255", id="negative"),
        pytest.param({"images": with_pixel(256, "int64")}, "0 to 256", id="above-255"),
        pytest.param({"images": with_pixel(np.nan)}, "1 of 40", id="nan"),
        pytest.param({"images": with_pixel(-np.inf)}, "1 of 40", id="inf"),
        pytest.param({"images": with_pixel(1e300, "float64")}, "1 of 40", id="beyond-float32"),
        pytest.param({"images": pictures(0), "labels": mixed_labels(0)}, "found none", id="empty"),
        pytest.param({"images": pictures(39)}, "39 images", id="label-too-many"),
        pytest.param({"labels": mixed_labels(39)}, "39 labels", id="label-too-few"),
        pytest.param({"labels": mixed_labels(40) + 1}, "1 to 4", id="counted-from-one"),
        pytest.param({"labels": mixed_labels(40) - 1}, "-1 to 2", id="negative-label"),
        pytest.param({"labels": np.full(40, np.nan)}, "40 NaN", id="nan-labels"),
        pytest.param({"labels": mixed_labels(40) + 0.5}, "0.5", id="fractional-labels"),
    ],
)
def test_a_set_that_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        check_fits(a_set(**change), SHAPE, 4)
    assert words in one_sentence(error)
    assert "Expected" in one_sentence(error)


# --- drawing --------------------------------------------------------------------------------


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_draw_is_distinct_repeatable_and_in_proportion(
    sizes: list[int], share: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    count = int(share * len(labels))
    drawn = draw_stratified(labels, len(labels), count, seed)
    assert len(drawn) == len(set(drawn.tolist())) == count
    np.testing.assert_array_equal(drawn, draw_stratified(labels, len(labels), count, seed))
    exact = np.array(sizes) * count / len(labels)
    assert np.abs(np.bincount(labels[drawn], minlength=len(sizes)) - exact).max() < 1


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_mixes_the_classes(seed: int) -> None:
    labels = np.repeat(np.arange(10), 100)
    drawn = labels[draw_stratified(labels, 1000, 100, seed)]
    assert np.count_nonzero(np.diff(drawn)) > 50


def test_another_seed_draws_other_images() -> None:
    labels = mixed_labels(1000)
    draws = {tuple(draw_stratified(labels, 1000, 100, seed)) for seed in range(5)}
    assert len(draws) == 5


def test_a_draw_without_labels_takes_from_all_alike() -> None:
    drawn = draw_stratified(None, 100, 30, seed=0)
    assert len(set(drawn.tolist())) == 30
    assert 0 <= drawn.min() <= drawn.max() < 100


def test_the_draw_of_seed_0_is_what_it_was() -> None:
    """A calibration set is named by its seed: the stream may not change between versions."""
    drawn = draw_stratified(mixed_labels(40), 40, 8, seed=0)
    assert drawn.tolist() == [10, 32, 8, 13, 27, 7, 14, 21]


@pytest.mark.parametrize(
    ("labels", "total", "count"),
    [(None, 5, 6), (None, 5, -1), (mixed_labels(4), 5, 2)],
    ids=["too-many", "negative", "other-labels"],
)
def test_an_impossible_draw_is_refused(labels: np.ndarray | None, total: int, count: int) -> None:
    with pytest.raises(UserError):
        draw_stratified(labels, total, count, seed=0)


# --- holding out ----------------------------------------------------------------------------


@given(
    contents=st.lists(st.integers(0, 12), min_size=5, max_size=60),
    count=st.integers(1, 20),
    seed=st.integers(0, 9),
    labelled=st.booleans(),
)
def test_no_picture_is_on_both_sides_and_none_is_lost(
    contents: list[int], count: int, seed: int, labelled: bool
) -> None:
    images = np.array(contents, np.uint8).reshape(-1, 1, 1, 1)
    labels = np.array(contents, np.int64) % 3 if labelled else None
    try:
        pool, rest = hold_out(Dataset(images, labels), count, seed)
    except UserError:  # every group of equal pictures is larger than what may be held out
        smallest = np.unique(contents, return_counts=True)[1].min()
        assert smallest > min(count, len(contents) // 5)
        return
    assert not set(pool.image_digests()) & set(rest.image_digests())
    assert 0 < len(pool) <= min(count, len(contents) // 5)
    both = np.concatenate([pool.images, rest.images]).ravel()
    assert sorted(both.tolist()) == sorted(contents)


def test_labels_stay_with_their_pictures() -> None:
    whole = a_set(200)
    label_of = dict(zip(whole.image_digests(), mixed_labels(200), strict=True))
    for part in hold_out(whole, 20):
        assert part.labels is not None
        assert [label_of[content] for content in part.image_digests()] == part.labels.tolist()


def test_held_out_images_are_stratified() -> None:
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    pool, _ = hold_out(a_set(200, labels=labels), 20)
    assert pool.labels is not None
    assert np.bincount(pool.labels).tolist() == [10, 6, 4]


def test_at_most_a_fifth_is_held_out() -> None:
    pool, rest = hold_out(a_set(200), 1000)
    assert (len(pool), len(rest)) == (40, 160)


def test_pictures_that_come_twice_leave_room_for_others() -> None:
    """Two hundred pictures of which fifty come twice: the pool is filled all the same."""
    images = pictures(150)[np.arange(200) % 150]
    pool, rest = hold_out(a_set(200, images=images), 40)
    assert (len(pool), len(rest)) == (40, 160)


def test_the_rest_keeps_its_order() -> None:
    whole = a_set(50)
    pool, rest = hold_out(whole, 5)
    kept = [content for content in whole.image_digests() if content not in pool.image_digests()]
    assert rest.image_digests() == kept


@pytest.mark.parametrize(
    ("dataset", "count"),
    [
        pytest.param(a_set(4), 10, id="too-few"),
        pytest.param(a_set(0), 10, id="empty"),
        pytest.param(a_set(40, images=np.zeros((40, *SHAPE), np.uint8)), 10, id="all-alike"),
        pytest.param(a_set(40), 0, id="none-asked-for"),
    ],
)
def test_what_cannot_be_held_out_is_said(dataset: Dataset, count: int) -> None:
    with pytest.raises(UserError) as error:
        hold_out(dataset, count)
    one_sentence(error)
