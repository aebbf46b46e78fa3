"""Multiply-accumulates against counts by hand."""

import legacy_files as files
import pytest
from legacy_files import conv, dense, image, norm, numbers, plain

from conversion.readers import read_spec
from conversion.readers.cost import multiply_accumulates

WINDOW = {"padding": "valid", "data_format": "channels_last"}


def depthwise(multiplier, **settings):
    size = {"kernel_size": [3, 3], "strides": [1, 1], "depth_multiplier": multiplier}
    layer = plain("DepthwiseConv2D", "it", "image", **WINDOW, **size, use_bias=False, **settings)
    layer.weights["depthwise_kernel"] = numbers(3, 3, 4, multiplier)
    return layer


@pytest.mark.parametrize(
    ("layer", "cost"),
    [
        pytest.param(conv("it", "image", numbers(3, 3, 4, 6)), 8 * 6 * 6 * 36, id="same"),
        pytest.param(
            conv("it", "image", numbers(3, 3, 4, 6), padding="valid"), 6 * 4 * 6 * 36, id="valid"
        ),
        pytest.param(
            conv("it", "image", numbers(3, 3, 4, 6), strides=[2, 2]), 4 * 3 * 6 * 36, id="stride"
        ),
        pytest.param(
            conv("it", "image", numbers(3, 3, 4, 6), dilation_rate=[2, 2], padding="valid"),
            4 * 2 * 6 * 36,
            id="dilated",
        ),
        pytest.param(
            conv("it", "image", numbers(3, 3, 2, 6), groups=2), 8 * 6 * 6 * 18, id="grouped"
        ),
        pytest.param(conv("it", "image", numbers(1, 3, 4, 6)), 8 * 6 * 6 * 12, id="oblong"),
        pytest.param(
            conv("it", "image", numbers(1, 1, 4, 6), numbers(6)), 8 * 6 * 6 * 4, id="biased"
        ),
        pytest.param(depthwise(1), 6 * 4 * 4 * 9, id="depthwise"),
        pytest.param(depthwise(2), 6 * 4 * 8 * 9, id="depthwise-two-each"),
        pytest.param(dense("it", "image", numbers(4, 5)), 8 * 6 * 5 * 4, id="dense-on-pixels"),
    ],
)
def test_cost_of_a_layer(tmp_path, layer, cost):
    path = files.write(tmp_path / "m.h5", [image(shape=(8, 6, 4)), layer])
    assert multiply_accumulates(read_spec(path)) == {"it": cost}


def test_costs_are_listed_by_layer_and_free_layers_are_left_out(tmp_path):
    spec = read_spec(files.write(tmp_path / "m.h5", files.small()))
    assert multiply_accumulates(spec) == {"conv": 4 * 4 * 3 * 18, "dense": 48 * 5}


def test_open_size_counts_as_one(tmp_path):
    layers = [image(shape=(None, 6, 4)), conv("it", "image", numbers(1, 1, 4, 2))]
    spec = read_spec(files.write(tmp_path / "m.h5", layers))
    assert multiply_accumulates(spec) == {"it": 1 * 6 * 2 * 4}


def test_model_without_products_costs_nothing(tmp_path):
    layers = [image(shape=(2, 2, 3)), norm("it", "image", 3)]
    assert multiply_accumulates(read_spec(files.write(tmp_path / "m.h5", layers))) == {}
