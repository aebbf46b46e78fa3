"""Padding, cropping and enlarging, whatever the settings, put each value where Keras puts it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import seeds, sizes
from window_strategies import formats, shaped

BORDERS = {
    "ZeroPadding1D": (1, "padding"),
    "ZeroPadding2D": (2, "padding"),
    "Cropping1D": (1, "cropping"),
    "Cropping2D": (2, "cropping"),
}
FORMATLESS = ("Cropping1D", "UpSampling1D")
kinds = pytest.mark.parametrize("kind", BORDERS)
border = st.integers(0, 3)


@kinds
@settings(max_examples=15)
@given(st.data(), formats, seeds)
def test_border(agree, kind, data, order, seed):
    rank, key = BORDERS[kind]
    pairs = [[data.draw(border), data.draw(border)] for _ in range(rank)]
    least = 0 if key == "padding" else 6
    chosen = {} if kind in FORMATLESS else {"data_format": order}
    shape = shaped([least + data.draw(sizes) for _ in range(rank)], 2, chosen)
    made = layer(kind, **{key: pairs if rank == 2 else pairs[0]}, **chosen)
    agree(sequential(shape, made), images(shape, seed))


@kinds
def test_border_of_one_number(agree, kind):
    rank, key = BORDERS[kind]
    shape = [5, 6, 2][-rank - 1 :]
    agree(sequential(shape, layer(kind, **{key: 2})), images(shape))


def test_border_of_one_number_an_axis(agree):
    agree(sequential([7, 6, 2], layer("Cropping2D", cropping=[3, 1])), images([7, 6, 2]))


@settings(max_examples=25)
@given(st.data(), formats, st.sampled_from(("nearest", "bilinear")), sizes, sizes, seeds)
def test_enlarged_image(agree, data, order, interpolation, height, width, seed):
    factors = [data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))]
    chosen = {"data_format": order, "interpolation": interpolation}
    shape = shaped([height, width], 2, chosen)
    agree(sequential(shape, layer("UpSampling2D", size=factors, **chosen)), images(shape, seed))


@pytest.mark.parametrize("kind", ["UpSampling1D", "UpSampling2D"])
@pytest.mark.parametrize("factor", [3, 41])  # PyTorch's own "nearest" is wrong for 41
def test_every_value_is_repeated(agree, kind, factor):
    shape = [3, 2, 2][-int(kind[-2]) - 1 :]
    agree(sequential(shape, layer(kind, size=factor)), images(shape))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_enlarged_image_whose_model_leaves_the_size_open(agree, interpolation):
    made = layer("UpSampling2D", size=[2, 3], interpolation=interpolation)
    agree(sequential([None, None, 2], made), images([4, 5, 2]))
