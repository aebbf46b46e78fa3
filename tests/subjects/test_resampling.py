"""Images are resized as the libraries do it that people ship."""

import numpy as np
import pytest

from conversion.subjects.resampling import RESIZES, Resize, resampled

SIZES = [(7, 5), (13, 20), (40, 31)]
IMAGE = np.random.RandomState(0).randint(0, 256, (23, 17, 3)).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos", "nearest"])
def test_with_antialiasing_it_is_what_pillow_gives(kernel, size):
    from PIL import Image

    method = getattr(Image.Resampling, kernel.upper())
    planes = [
        np.asarray(Image.fromarray(IMAGE[..., c].astype(np.float32)).resize(size[::-1], method))
        for c in range(3)
    ]
    found = resampled(IMAGE, size, Resize(kernel))
    assert np.abs(found - np.stack(planes, axis=-1)).max() < 1e-3  # Pillow's weights are float32


@pytest.mark.parametrize("size", [(9, 11), (17, 13), (23, 9)], ids=str)
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_whole_numbers_are_those_of_pillow_within_a_level(kernel, size):
    from PIL import Image

    method = getattr(Image.Resampling, kernel.upper())
    wanted = np.asarray(Image.fromarray(IMAGE).resize(size[::-1], method)).astype(int)
    found = resampled(IMAGE, size, Resize(kernel), "yes")
    assert np.abs(found - wanted).max() <= 1  # exact halves, which Pillow's integers may miss


@pytest.mark.parametrize(
    ("kernel", "mode"), [("bilinear", "bilinear"), ("bicubic-opencv", "bicubic")]
)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_without_antialiasing_it_is_what_pytorch_gives(kernel, mode, size):
    import torch

    planes = torch.from_numpy(IMAGE.astype(np.float64)).permute(2, 0, 1)[None]
    wanted = torch.nn.functional.interpolate(planes, size, mode=mode, align_corners=False)
    found = resampled(IMAGE, size, Resize(kernel, antialias=False))
    assert np.abs(found - wanted[0].permute(1, 2, 0).numpy()).max() < 1e-9


def test_corners_aligned_is_what_pytorch_gives():
    import torch

    planes = torch.from_numpy(IMAGE.astype(np.float64)).permute(2, 0, 1)[None]
    wanted = torch.nn.functional.interpolate(planes, (9, 8), mode="bilinear", align_corners=True)
    found = resampled(IMAGE, (9, 8), Resize("bilinear", antialias=False, grid="corners"))
    assert np.abs(found - wanted[0].permute(1, 2, 0).numpy()).max() < 1e-9


def test_area_is_the_mean_of_the_pixels_that_become_one():
    image = IMAGE[:20, :16]
    wanted = image.reshape(5, 4, 4, 4, 3).mean(axis=(1, 3))
    assert np.abs(resampled(image, (5, 4), Resize("area")) - wanted).max() < 1e-9


def test_from_the_first_pixel_every_second_one_is_taken():
    found = resampled(IMAGE[:20, :16], (10, 8), Resize("nearest", False, "first-pixel"))
    assert np.array_equal(found, IMAGE[:20:2, :16:2])


@pytest.mark.parametrize("kernel", RESIZES)
def test_an_image_of_the_size_stays_and_an_even_one_stays_even(kernel):
    assert np.array_equal(resampled(IMAGE, IMAGE.shape[:2], Resize(kernel)), IMAGE)
    even = np.full((12, 9, 3), 77, np.uint8)
    assert np.abs(resampled(even, (5, 14), Resize(kernel, antialias=False)) - 77).max() < 1e-9


def test_cut_off_numbers_are_the_next_lower_ones():
    exact = resampled(IMAGE, (9, 11), Resize("bilinear"))
    assert np.array_equal(
        resampled(IMAGE, (9, 11), Resize("bilinear"), "truncated"), np.trunc(exact)
    )
