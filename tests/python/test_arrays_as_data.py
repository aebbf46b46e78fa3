"""Arrays from Python are read, split and checked as those of an `.npz` file are."""

import io

import numpy as np
import pytest

from conversion.core.errors import UserError
from conversion.subjects import find
from conversion.subjects.arrays import path_or_arrays
from conversion.subjects.data import load_data
from conversion.subjects.preprocessing import Preprocessing

X = np.random.RandomState(0).randint(0, 256, (6, 4, 4, 3)).astype(np.uint8)
Y = np.array([0, 2, 1, 0, 2, 1])
ONE_HOT = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
XT, YT = X[:4][::-1].copy(), np.array([1, 0, 1, 2])


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    buffer.seek(0)
    return np.load(buffer, allow_pickle=False)


ONE_SET = {
    "images": (X, None),
    "images-without-labels": ((X, None), None),
    "pair": ((X, Y), Y),
    "pair-of-floats": ((X.astype(np.float64), Y.astype(np.float32)), Y),
    "column": ((X, Y[:, None]), Y),
    "one-hot": ((X, ONE_HOT), Y),
    "lists": ((X.tolist(), Y.tolist()), Y),
    "names": ({"x": X, "y": Y}, Y),
    "names-of-a-test-set": ({"x_test": X, "y_test": Y}, Y),
    "opened-npz": (npz(x=X, y=Y), Y),
}


@pytest.mark.parametrize("name", ONE_SET)
def test_one_set_is_what_was_given(name):
    given, labels = ONE_SET[name]
    train, test = load_data(path_or_arrays(given))
    assert train is None
    assert np.array_equal(test.images, X)
    assert test.images.dtype == (np.float32 if name == "pair-of-floats" else np.uint8)
    assert (test.labels is None) is (labels is None)
    assert labels is None or np.array_equal(test.labels, labels)


TWO_SETS = {
    "names": {"x_train": XT, "y_train": YT, "x_test": X, "y_test": Y},
    "as-keras-datasets": ((XT, YT), (X, Y)),
    "columns": ((XT, YT[:, None]), (X, Y[:, None])),
}


@pytest.mark.parametrize("name", TWO_SETS)
def test_two_sets_are_what_was_given(name):
    train, test = load_data(path_or_arrays(TWO_SETS[name]))
    assert np.array_equal(train.images, XT)
    assert np.array_equal(train.labels, YT)
    assert np.array_equal(test.images, X)
    assert np.array_equal(test.labels, Y)


def test_arrays_and_a_file_of_them_are_the_same_data(tmp_path, keras_file, images, labels):
    np.savez(tmp_path / "mine.npz", x=images, y=labels)
    written = find(str(keras_file), tmp_path / "mine.npz")
    given = find(str(keras_file), path_or_arrays((images, labels)))
    assert (len(given.train), len(given.test)) == (60, 240)  # a fifth is held out
    assert given.train.digest == written.train.digest
    assert given.test.digest == written.test.digest
    assert given.test.source == "arrays in memory, x, the rest"


def test_what_was_given_is_left_as_it_is():
    images, labels = X.astype(np.float32), np.sort(Y)  # class after class: it is shuffled
    _, test = load_data(path_or_arrays((images, labels)), Preprocessing(scale=0.5))
    assert np.array_equal(images, X.astype(np.float32))
    assert np.array_equal(labels, [0, 0, 1, 1, 2, 2])
    assert not np.array_equal(test.labels, labels)
    assert test.images.max() <= 127.5


class Refusing:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("a tensor\non another device")


MISTAKES = {
    "three": ((X, Y, Y), r"as \(x, y\) or \(\(x_train, .*; got a tuple of 3"),
    "object": (object(), "x as an array of numbers; got object: gather it into one numpy array"),
    "rows-of-two-lengths": ([[1, 2], [3]], "x as an array of numbers; got list"),
    "refusing": ((X, Refusing()), r"got Refusing \(a tensor on another device\)"),
    "no-images": ({"y": Y}, "arrays x_test and y_test .*; what was given has: y"),
    "nothing": ({}, "what was given has: none"),
    "words": ((["a", "b"], None), "images as an array of uint8 or float32; found <U1"),
    "fewer-labels": ((X, Y[:3]), "one label for each of 6 images; found 3 labels"),
    "probabilities": ((X, np.full((6, 2), 0.5)), "rows of 2 numbers that are not one-hot"),
    "half-a-class": ((X, Y + 0.5), r"found 0\.5 in arrays in memory, x"),
    "signed-pixels": (X.astype(int) - 300, "whole-number pixels from 0 to 255; found -300"),
    "objects-in-an-npz": (npz(x=np.array([None, 1], object)), "x as an array of numbers"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence(name):
    given, words = MISTAKES[name]
    with pytest.raises(UserError, match=f"^Expected .*{words}") as refused:
        load_data(path_or_arrays(given))
    assert "\n" not in str(refused.value)


def test_a_path_stays_a_path(tmp_path):
    assert path_or_arrays(str(tmp_path)) == path_or_arrays(tmp_path) == tmp_path
