"""The embedded subject is the same everywhere: its images, their labels, its model file."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.subjects import embedded, embedded_images, find
from conversion.subjects.embedded_images import CLASSES, generate

# SHA-256 of the bytes, the same under numpy 1.26 and 2 and on any CPU.
DIGESTS = {
    "test": (
        10_000,
        "76c5423a513f4e2fe715b35d281e1521bb5eeae9955ed497a48225670558af84",
        "28fb3640db8f42843bbacf121ef23cc2ddb0091d4c21afb04b09eb6178981aee",
    ),
    "train": (
        5_000,
        "0ef1cb766072b525160b9b1310dbd35646ac53520ee61b27d08d02c4e4529ed8",
        "80484935df32da3b08630d2cce25da5b584dfca256193477f808a6dff3e4017f",
    ),
}
MODEL = "00ef738c0d22918b70b588fbff8f4cf5a9f81548aab752b17f30c8acb1a0275d"

splits = pytest.mark.parametrize("split", DIGESTS)


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def subject(workspaces):
    shared = workspaces("embedded").subject  # its images are read once a session
    return shared if shared.name == "embedded" else find("embedded")


@splits
def test_images_and_labels_are_these_bytes(subject, split):
    count, images, labels = DIGESTS[split]
    found = getattr(subject, split)
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
    assert (found.images.shape, found.labels.shape) == ((count, 32, 32, 3), (count,))
    assert (sha256(found.images), sha256(found.labels)) == (images, labels)


def test_model_file_is_these_bytes(subject):
    assert hashlib.sha256(subject.model.read_bytes()).hexdigest() == MODEL


def test_subject_has_a_name_and_a_floor(subject):
    assert (subject.name, subject.floor) == ("embedded", 85.0)


@splits
def test_every_class_is_there_equally_often(subject, split):
    found = getattr(subject, split)
    assert found.classes == CLASSES
    assert set(np.bincount(found.labels, minlength=10)) == {DIGESTS[split][0] // 10}


@splits
def test_classes_are_mixed(subject, split):
    labels = getattr(subject, split).labels
    assert np.count_nonzero(np.diff(labels)) > 0.8 * len(labels)


def test_no_image_is_in_both_splits_or_twice(subject):
    digests = [*subject.train.image_digests(), *subject.test.image_digests()]
    assert len(set(digests)) == len(digests) == 15_000


def test_pixels_reach_both_ends(subject):
    assert (subject.test.images.min(), subject.test.images.max()) == (0, 255)


@settings(max_examples=20)
@given(split=st.sampled_from(["train", "test"]), count=st.integers(0, 160))
def test_shorter_request_is_a_prefix(subject, split, count):
    images, labels = generate(split, count)
    whole = getattr(subject, split)
    np.testing.assert_array_equal(images, whole.images[:count])
    np.testing.assert_array_equal(labels, whole.labels[:count])


@pytest.mark.parametrize(
    ("split", "count", "words"),
    [("validation", 1, "one of"), ("test", -1, "at least 0")],
    ids=["split", "count"],
)
def test_what_cannot_be_made_is_refused(split, count, words):
    with pytest.raises(ValueError, match=words):
        generate(split, count)


def test_floor_and_sizes_are_the_documented_ones():
    assert (embedded.TRAIN_IMAGES, embedded.TEST_IMAGES, embedded.FLOOR) == (5_000, 10_000, 85.0)


def test_images_are_drawn_once_and_then_kept(monkeypatch, tmp_path):
    drawn = []

    def few(split, count):
        drawn.append(split)
        return np.full((4, 32, 32, 3), len(drawn), np.uint8), np.arange(4)

    monkeypatch.setenv("CONVERSION_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(embedded_images, "generate", few)
    first, second = embedded.subject(), embedded.subject()
    assert drawn == ["train", "test"]
    assert first.test.digest == second.test.digest != second.train.digest
