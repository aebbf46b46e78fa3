"""Calibration sets: drawn by seed and class, none of them a test image, saved as they are."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.core.errors import UserError
from conversion.core.settings import CalibrationChoice
from conversion.quantization.calibration import (
    BATCH,
    FILE,
    batches,
    draw,
    load,
    refuse_leak,
    save,
)
from conversion.subjects import find, mlperf_tiny
from conversion.subjects.data import Dataset


def numbered(count, labels=None, first=0):
    """Images of two pixels that hold their own number, so that a draw can be read off."""
    numbers = np.arange(first, first + count, dtype=np.float32)
    return Dataset(np.repeat(numbers, 2).reshape(count, 1, 2, 1), labels, "numbers")


def drawn(data):
    return data.images[:, 0, 0, 0].astype(int).tolist()


def test_a_seed_gives_the_same_images_and_another_one_others():
    train = numbered(100, np.arange(100) % 4)
    one, again = (draw(train, None, CalibrationChoice(20, seed=3)) for _ in range(2))
    other = draw(train, None, CalibrationChoice(20, seed=4))
    assert drawn(one) == drawn(again)
    assert set(drawn(one)) != set(drawn(other))


def test_labels_stay_with_their_images():
    found = draw(numbered(60, np.arange(60) % 3), None, CalibrationChoice(30))
    assert found.labels.tolist() == [number % 3 for number in drawn(found)]


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 80), st.integers(0, 2**31)
)
def test_each_class_has_its_share_within_one_image(sizes, count, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    found = draw(numbered(len(labels), labels), None, CalibrationChoice(count, seed))
    taken = min(count, len(labels))
    assert len(set(drawn(found))) == len(found) == taken
    for label, size in enumerate(sizes):
        assert abs((found.labels == label).sum() - taken * size / len(labels)) < 1


def test_fewer_images_than_asked_for_are_all_taken():
    found = draw(numbered(7, np.zeros(7, np.int64)), None, CalibrationChoice(1000))
    assert sorted(drawn(found)) == list(range(7))


def test_images_without_labels_can_be_drawn():
    found = draw(numbered(50), None, CalibrationChoice(10))
    assert (len(set(drawn(found))), found.labels) == (10, None)


@pytest.mark.parametrize("count", [0, -1, 100_001])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(UserError, match=f"1 to 100000 calibration images; got {count}"):
        CalibrationChoice(count)


def test_a_set_without_test_images_is_drawn():
    assert len(draw(numbered(50), numbered(50, first=50), CalibrationChoice(20))) == 20


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_one_shared_image_is_enough_to_refuse_whatever_its_dtype(kind):
    test = numbered(50, first=49)
    test = Dataset(test.images.astype(kind), None)
    with pytest.raises(UserError, match=r"not in the evaluation set; 1 of 50 are: calibrate on tr"):
        draw(numbered(50), test, CalibrationChoice(50))


def test_shared_images_that_are_not_drawn_do_not_matter():
    train, choice = numbered(50), CalibrationChoice(20)
    left = sorted(set(range(50)) - set(drawn(draw(train, None, choice))))
    test = train.subset(np.array(left))
    assert len(draw(train, test, choice)) == 20


def test_every_shared_image_is_counted():
    with pytest.raises(UserError, match="10 of 20 are"):
        refuse_leak(numbered(20), numbered(20, first=10))


def test_the_saved_file_and_what_is_said_of_it(tmp_path):
    train = numbered(60, np.repeat([0, 1, 2], [30, 20, 10]))
    found = draw(train, None, CalibrationChoice(12, seed=5))
    notes = save(found, tmp_path, CalibrationChoice(12, seed=5))
    assert np.load(tmp_path / "images.npy").tobytes() == found.images.tobytes()
    assert np.load(tmp_path / "labels.npy").tolist() == found.labels.tolist()
    assert json.loads(json.dumps(notes)) == notes
    assert {key: notes[key] for key in ("count", "seed", "classes", "source")} == {
        "count": 12,
        "seed": 5,
        "classes": [6, 4, 2],
        "source": "numbers",
    }


def test_the_content_in_the_provenance_is_that_of_the_images(tmp_path):
    choice = CalibrationChoice()
    one, same, other = (
        save(numbered(3, labels, first), tmp_path, choice)["content"]
        for first, labels in ((0, None), (0, np.array([1, 1, 1])), (1, None))
    )
    assert one == same != other
    assert len(one) == 64


@pytest.mark.parametrize("labels", [None, np.arange(60) % 3], ids=["no labels", "labels"])
def test_a_part_is_drawn_from_what_the_parts_before_it_left(labels):
    train = numbered(60, labels)
    parts = [drawn(draw(train, None, CalibrationChoice(20, seed=7, part=n))) for n in range(3)]
    assert parts[0] == drawn(draw(train, None, CalibrationChoice(20, seed=7)))
    assert sorted(number for part in parts for number in part) == list(range(60))
    if labels is not None:
        for part in parts:
            assert set(np.bincount(labels[part])) <= {6, 7}


def test_a_part_for_which_too_few_are_left_is_refused():
    with pytest.raises(UserError, match=r"20 images for part 1 .* leave 10 of 30: ask for fewer"):
        draw(numbered(30), None, CalibrationChoice(20, part=1))


def test_a_part_before_the_first_is_refused():
    with pytest.raises(UserError, match="a calibration part from 0 on; got -1"):
        CalibrationChoice(part=-1)


@pytest.mark.parametrize("labels", [None, np.arange(7)], ids=["no labels", "labels"])
def test_a_saved_set_is_read_as_it_was(tmp_path, labels):
    saved = numbered(7, labels)
    save(saved, tmp_path, CalibrationChoice())
    found = load(tmp_path / FILE)
    assert np.array_equal(found.images, saved.images)
    assert np.array_equal(found.labels, labels) if labels is not None else found.labels is None


@pytest.mark.parametrize("count", [1, 49, 50, 51, 120])
def test_every_image_is_in_just_one_batch(tmp_path, count):
    save(numbered(count), tmp_path, CalibrationChoice())
    found = list(batches(tmp_path / FILE))
    assert [len(batch) for batch in found[:-1]] == [BATCH] * (len(found) - 1)
    assert np.concatenate(found)[:, 0, 0, 0].tolist() == list(range(count))
    assert {batch.dtype for batch in found} == {np.dtype(np.float32)}


def own_list(workspaces, folder):
    """MLPerf Tiny's own calibration images, and the data file of a user who trusts its list."""
    place = mlperf_tiny.folder() / "data" / "mlperf_tiny_calibration_samples.npy"
    if not place.is_file():
        pytest.skip(f"MLPerf Tiny's list is not here: {place}")
    test = workspaces("mlperf-tiny").test
    listed = test.subset(np.load(place))
    path = folder / "mine.npz"
    np.savez(
        path,
        x_train=listed.images,
        y_train=listed.labels,
        x_test=test.images,
        y_test=test.labels,
    )
    return listed, test, path


def test_mlperf_tinys_own_calibration_list_is_refused(workspaces, tmp_path):
    listed, test, _ = own_list(workspaces, tmp_path)
    with pytest.raises(UserError, match=r"not in the evaluation set; 500 of 500 are: calibrate on"):
        draw(listed, test, CalibrationChoice(500))


def test_it_is_refused_as_the_training_images_of_a_user_too(workspaces, tmp_path):
    *_, path = own_list(workspaces, tmp_path)
    good = workspaces("mlperf-tiny")
    mine = replace(good, subject=find(str(good.subject.model), path))
    with pytest.raises(UserError, match=r"not in the evaluation set; 500 of 500 are: calibrate on"):
        mine.artifact("onnx-int8")
