"""Images are brought to the model's size where the user says so, and only there."""

import numpy as np
import pytest

from conversion.core.errors import UserError
from conversion.subjects.data import check_fits, load_data
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.resizing import resized, size_of_input


def ramp(height, width):
    """A channel that grows downwards, one that grows to the right, one that is even."""
    rows, columns = np.mgrid[:height, :width] / (height, width)[0]
    return np.stack([rows, columns, np.full_like(rows, 7)], axis=-1)[None].astype(np.float32)


@pytest.mark.parametrize("size", [(4, 6), (32, 24), (8, 12)], ids=["smaller", "larger", "same"])
def test_rows_stay_rows_and_columns_columns(size):
    (found,) = resized(ramp(8, 12), size, "here")
    assert found.shape == (*size, 3)
    assert (np.diff(found[..., 0], axis=0) >= 0).all()
    assert np.ptp(found[..., 0], axis=1).max() < 1e-6
    assert (np.diff(found[..., 1], axis=1) >= 0).all()
    assert np.abs(found[..., 2] - 7).max() < 1e-5


def test_halving_keeps_the_mean_of_an_image():
    image = np.random.RandomState(0).randint(0, 256, (1, 32, 32, 1)).astype(np.uint8)
    found = resized(image, (16, 16), "here")
    assert found.dtype == np.float32
    assert found.mean() == pytest.approx(image.mean(), abs=1.5)


def test_images_of_the_size_are_left_as_they_are():
    images = np.zeros((2, 4, 6, 3), np.uint8)
    assert resized(images, (4, 6), "here") is images


def test_rows_of_numbers_cannot_be_resized():
    with pytest.raises(UserError, match=r"height, width, channels.*found \(5, 10\) in here"):
        resized(np.zeros((5, 10), np.float32), (4, 4), "here")


@pytest.mark.parametrize("shape", [(10,), (None, None, 3), (8, 8)])
def test_a_model_without_a_size_cannot_say_which(shape):
    with pytest.raises(UserError, match="fixed height and width beside --resize"):
        size_of_input(shape)


@pytest.fixture
def photos(tmp_path):
    """Two classes of pictures of two sizes."""
    from PIL import Image

    for index, size in enumerate([(9, 7), (12, 16), (9, 7), (20, 20)]):
        folder = tmp_path / "photos" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (index, 100, 200)).save(folder / f"{index}.png")
    return tmp_path / "photos"


def test_a_folder_of_pictures_of_many_sizes_is_read_with_resize(photos):
    _, test = load_data(photos, Preprocessing(resize=True), (8, 8))
    assert test.images.shape == (4, 8, 8, 3)
    assert test.preprocessing == "resized to the model's input"
    assert np.abs(test.images[..., 2] - 200).max() < 1e-3
    assert sorted(test.images[:, 0, 0, 0].round(3).tolist()) == [0, 1, 2, 3]


def test_without_resize_another_size_is_refused_with_the_option(photos, tmp_path):
    with pytest.raises(UserError, match="--resize"):
        load_data(photos)
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 9, 9, 3), np.uint8))
    with pytest.raises(UserError, match=r"Expected images of shape \(N, 8, 8, 3\).*--resize"):
        check_fits(load_data(tmp_path / "x.npz")[1], (8, 8, 3), 4)
