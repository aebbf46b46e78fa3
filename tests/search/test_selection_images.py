"""Held-out discipline: what a search chooses on neither calibrates nor tests."""

from pathlib import Path

import numpy as np
import pytest

from conversion.core.errors import UserError
from conversion.core.spec import Spec
from conversion.proof.search.measure import split
from conversion.subjects import Subject
from conversion.subjects.data import Dataset

NO_SPEC = Spec("mine", (), (), (), "", "unknown")
"""Nothing that the split of images looks at."""


def images(count, first=0):
    """Images that differ from each other, each all of one value or two."""
    numbers = np.arange(first, first + count)
    pixels = np.stack([numbers // 250, numbers % 250], axis=1).astype(np.uint8)
    return pixels.reshape(count, 1, 2, 1)


def subject(train, test=None):
    labels = np.arange(len(train)) % 4
    tests = None if test is None else Dataset(test, np.zeros(len(test), np.int64))
    return Subject("mine", Path("mine.h5"), NO_SPEC, test=tests, train=Dataset(train, labels))


def contents(dataset):
    return set(dataset.image_digests())


@pytest.mark.parametrize("count", [200, 201, 1500, 5000])
def test_no_image_is_on_two_sides_and_none_is_lost(count):
    whole = subject(images(count))
    rest, chosen = split(whole)
    assert not contents(rest.train) & contents(chosen)
    assert contents(rest.train) | contents(chosen) == contents(whole.train)


@pytest.mark.parametrize(
    ("count", "chosen"), [(200, 100), (1500, 750), (3000, 2000), (5000, 4000), (9000, 4000)]
)
def test_a_thousand_images_are_left_to_calibrate_on_where_there_are_enough(count, chosen):
    assert len(split(subject(images(count)))[1]) == chosen


def test_an_image_that_is_there_twice_stays_on_one_side():
    twice = np.concatenate([images(300), images(300)])
    rest, chosen = split(subject(twice))
    assert not contents(rest.train) & contents(chosen)


def test_a_training_image_that_is_also_a_test_image_is_not_chosen_on():
    rest, chosen = split(subject(images(400), test=images(100)))
    assert not contents(chosen) & contents(Dataset(images(100), None))
    assert len(rest.test) == 100


def test_classes_keep_their_shares():
    _, chosen = split(subject(images(2000)))
    assert np.bincount(chosen.labels).tolist() == [250] * 4


def test_too_few_images_are_refused_in_a_sentence():
    with pytest.raises(UserError, match=r"at least 200 training images.*mine has 150"):
        split(subject(images(150)))


def test_no_images_are_refused_in_a_sentence():
    with pytest.raises(UserError, match="pass --data FILE"):
        split(Subject("mine", Path("mine.h5"), NO_SPEC))
