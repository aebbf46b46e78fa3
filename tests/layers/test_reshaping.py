"""Layers that only move values put each where Keras puts it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import images, layer, sequential
from layer_strategies import pairs, seeds, sizes

from conversion.core.errors import UserError

CONV = layer("Conv2D", "conv", filters=3, kernel_size=[1, 2])
RESHAPES = {
    "image to vector": ([2, 3, 4], [24]),
    "image to another image": ([2, 3, 4], [4, 2, 3]),
    "image to sequence": ([2, 3, 4], [-1, 4]),
    "open rows": ([2, 3, 4], [-1, 6, 2]),
    "open columns": ([2, 3, 4], [2, -1, 2]),
    "open channels": ([2, 3, 4], [3, 1, -1]),
    "vector to image": ([24], [3, 4, 2]),
    "sequence to vector": ([6, 4], [-1]),
}
reshapes = pytest.mark.parametrize(("shape", "target"), RESHAPES.values(), ids=RESHAPES)


@reshapes
def test_reshape(agree, shape, target):
    agree(sequential(shape, layer("Reshape", target_shape=target)), images(shape))


@pytest.mark.parametrize("target", [[-1], [3, 4, 6], [-1, 6]])
def test_reshape_after_a_convolution(agree, target):
    conv = layer("Conv2D", "conv", filters=6, kernel_size=[1, 2])
    made = layer("Reshape", "reshape", target_shape=target)
    agree(sequential([3, 5, 2], conv, made), images([3, 5, 2]))


def test_convolution_after_a_reshape(agree):
    made = layer("Reshape", "reshape", target_shape=[3, 4, 2])
    agree(sequential([24], made, CONV), images([24]))


@pytest.mark.parametrize("shape", [[5], [3, 4], [3, 4, 2]], ids=["vector", "sequence", "image"])
def test_flatten(agree, shape):
    agree(sequential(shape, layer("Flatten")), images(shape))


def test_the_onnx_file_infers_the_size_of_the_batch_and_computes_nothing_of_it(small):
    import onnx

    made = [CONV, layer("Reshape", "rows", target_shape=[3, 9]), layer("Flatten", "flat")]
    content, _ = small(
        sequential([3, 4, 2], *made, layer("Dense", "dense", units=4))
    ).keras.to_onnx(15)
    graph = onnx.load_from_string(content).graph
    assert "Shape" not in {node.op_type for node in graph.node}


def test_dense_after_the_flattened_output_of_a_convolution(agree):
    made = [CONV, layer("Flatten", "flat"), layer("Dense", "dense", units=4)]
    agree(sequential([3, 4, 2], *made), images([3, 4, 2]))


@settings(max_examples=15)
@given(pairs(0, 3), pairs(0, 3), sizes, sizes, seeds)
def test_zero_padding(agree, rows, columns, height, width, seed):
    shape = [height, width, 2]
    made = layer("ZeroPadding2D", padding=[rows, columns])
    agree(sequential(shape, made), images(shape, seed))


def test_zero_padding_of_one_number(agree):
    agree(sequential([3, 4, 2], layer("ZeroPadding2D", padding=2)), images([3, 4, 2]))


def test_flatten_of_channels_first(agree):
    for shape in ([5], [3, 4], [3, 4, 2]):
        made = layer("Flatten", data_format="channels_first")
        agree(sequential(shape, made), images(shape))


def test_flattened_output_of_a_convolution_as_if_channels_were_first(agree):
    made = [CONV, layer("Flatten", "flat", data_format="channels_first")]
    agree(sequential([3, 4, 2], *made, layer("Dense", "end", units=4)), images([3, 4, 2]))


@settings(max_examples=10)
@given(st.sampled_from([[5], [3, 4], [3, 4, 2]]), st.data())
def test_permute(agree, shape, data):
    dims = data.draw(st.permutations(range(1, len(shape) + 1)))
    agree(sequential(shape, layer("Permute", dims=list(dims))), images(shape))


def test_convolutions_around_a_permutation(agree):
    made = [CONV, layer("Permute", "turned", dims=[3, 1, 2])]
    end = layer("Conv2D", "end", filters=2, kernel_size=2)
    agree(sequential([3, 4, 2], *made, end), images([3, 4, 2]))


@pytest.mark.parametrize("count", [1, 3])
def test_repeat_vector(agree, count):
    agree(sequential([5], layer("RepeatVector", n=count)), images([5]))


resized = st.integers(1, 13)


@settings(max_examples=40)
@given(sizes, sizes, resized, resized, st.sampled_from(("bilinear", "nearest")), seeds)
def test_resizing(agree, rows, columns, height, width, interpolation, seed):
    made = layer("Resizing", height=height, width=width, interpolation=interpolation)
    shape = [rows, columns, 3]
    agree(sequential(shape, made), images(shape, seed))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_resizing_of_channels_first(agree, interpolation):
    chosen = {"height": 7, "width": 3, "interpolation": interpolation}
    made = layer("Resizing", data_format="channels_first", **chosen)
    agree(sequential([2, 5, 4], made), images([2, 5, 4]))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize(("size", "wanted"), [(96, 224), (224, 96), (100, 300), (301, 43)])
def test_resizing_of_larger_images(agree, size, wanted, interpolation):
    made = layer("Resizing", height=wanted, width=wanted, interpolation=interpolation)
    # TensorFlow's places of pixels are float32 and as large as the image: 4.8e-6 was measured on
    # these images of noise, where half a pixel is 0.3.
    agree(sequential([size, size, 1], made), images([size, size, 1]), limit=256 * 2.0**-24)


@pytest.mark.parametrize(
    "chosen",
    [{"interpolation": "bicubic"}, {"crop_to_aspect_ratio": True}, {"antialias": True}],
    ids=["bicubic", "crop", "antialias"],
)
def test_resizing_in_another_way_is_refused(small, chosen):
    with pytest.raises(UserError, match=f"it.*has {next(iter(chosen))}=.*supported: "):
        small(sequential([4, 5, 3], layer("Resizing", height=2, width=2, **chosen)))
