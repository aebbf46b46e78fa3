"""Sums, products and concatenations of branches compute what Keras computes."""

import pytest
from keras_configs import functional, images, layer

from conversion.core.errors import UserError
from conversion.readers.schema_elementwise import broadcast

CONCATENATIONS = {
    "rows": ([2, 4, 3], [5, 4, 3], 1),
    "columns": ([2, 4, 3], [2, 1, 3], 2),
    "channels": ([2, 4, 3], [2, 4, 5], 3),
    "rows from the end": ([2, 4, 3], [5, 4, 3], -3),
    "columns from the end": ([2, 4, 3], [2, 1, 3], -2),
    "channels from the end": ([2, 4, 3], [2, 4, 5], -1),
    "steps": ([4, 3], [2, 3], 1),
    "features": ([4, 3], [4, 2], -1),
    "vectors": ([3], [5], 1),
    "vectors from the end": ([3], [5], -1),
}
concatenations = pytest.mark.parametrize(
    ("first", "second", "axis"), CONCATENATIONS.values(), ids=CONCATENATIONS
)
MERGES = ["Add", "Multiply", "Average", "Maximum", "Minimum"]
sums = pytest.mark.parametrize("kind", [*MERGES, "Subtract"])
many = pytest.mark.parametrize("kind", MERGES)

BROADCASTS = {
    "channels of an image": ([4, 5, 3], [1, 1, 3]),
    "an image by channels": ([1, 1, 3], [4, 5, 3]),
    "one channel": ([4, 5, 3], [4, 5, 1]),
    "rows by columns": ([4, 1, 3], [1, 5, 3]),
    "a vector behind an image": ([4, 5, 3], [3]),
    "a sequence before an image": ([5, 3], [4, 5, 3]),
    # Not as many rows or channels as there are images: Keras 3.15 then takes it for a bias.
    "one number": ([6, 5, 3], [1]),
}
DOTS = {
    "vectors": ([4], [4], 1),
    "vectors from the end": ([4], [4], -1),
    "vector and sequence": ([4], [5, 4], [1, 2]),
    "sequence and vector": ([5, 4], [4], [2, 1]),
    "sequences": ([5, 4], [3, 4], -1),
    "sequences by steps": ([4, 3], [4, 5], 1),
    "image and sequence": ([2, 5, 4], [4, 3], [3, 1]),
    "images by columns": ([2, 4, 3], [3, 4, 2], 2),
}


@many
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("shape", [[5], [3, 4], [3, 4, 2]], ids=["vector", "sequence", "image"])
def test_merge_of_inputs(agree, kind, count, shape):
    inputs = {f"input{i}": shape for i in range(count)}
    config = functional(inputs, [(layer(kind), list(inputs))], ["it"])
    agree(config, *(images(shape, seed) for seed in range(count)))


@sums
def test_merge_of_an_image_and_a_convolution(agree, kind):
    conv = layer("Conv2D", "conv", filters=2, kernel_size=[3, 2], padding="same")
    config = functional(
        {"input": [5, 4, 2]},
        [(conv, ["input"]), (layer(kind), ["input", "conv"]), (layer("Flatten", "end"), ["it"])],
        ["end"],
    )
    agree(config, images([5, 4, 2]))


@pytest.mark.one_in(3)
@sums
@pytest.mark.parametrize(("first", "second"), BROADCASTS.values(), ids=BROADCASTS)
def test_merge_of_inputs_whose_shapes_differ(agree, kind, first, second):
    inputs = {"first": first, "second": second}
    config = functional(inputs, [(layer(kind), list(inputs))], ["it"])
    agree(config, images(first, 1), images(second, 2))


def test_merge_of_inputs_that_do_not_fit_is_refused():
    with pytest.raises(UserError, match="do not fit each other"):
        broadcast([(4, 5, 3), (5, 4, 3)])


@sums
def test_merge_of_an_image_whose_size_is_open_and_its_channels(agree, kind):
    conv = layer("Conv2D", "conv", filters=3, kernel_size=[2, 2])
    calls = [
        (conv, ["input"]),
        (layer("GlobalAveragePooling2D", "mean"), ["conv"]),
        (layer("Dense", "gate", units=3, activation="sigmoid"), ["mean"]),
        (layer(kind), ["conv", "gate"]),
    ]
    agree(functional({"input": [None, None, 2]}, calls, ["it"]), images([5, 4, 2]))


def test_squeeze_and_excitation(agree):
    calls = [
        (layer("Conv2D", "conv", filters=4, kernel_size=3, activation="swish"), ["input"]),
        (layer("GlobalAveragePooling2D", "mean"), ["conv"]),
        (layer("Reshape", "reshape", target_shape=[1, 1, 4]), ["mean"]),
        (layer("Conv2D", "less", filters=2, kernel_size=1, activation="swish"), ["reshape"]),
        (layer("Conv2D", "gate", filters=4, kernel_size=1, activation="sigmoid"), ["less"]),
        (layer("Multiply", "excite"), ["conv", "gate"]),
        (layer("Conv2D", "end", filters=2, kernel_size=1), ["excite"]),
    ]
    agree(functional({"input": [6, 5, 3]}, calls, ["end"]), images([6, 5, 3]))


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize(("first", "second", "axes"), DOTS.values(), ids=DOTS)
def test_dot(agree, first, second, axes, unit):
    inputs = {"first": first, "second": second}
    made = layer("Dot", axes=axes, normalize=unit)
    agree(functional(inputs, [(made, list(inputs))], ["it"]), images(first, 1), images(second, 2))


def test_dot_of_convolutions(agree):
    convs = [layer("Conv2D", name, filters=3, kernel_size=[2, 3]) for name in "ab"]
    calls = [(conv, ["input"]) for conv in convs]
    config = functional(
        {"input": [4, 5, 3]}, [*calls, (layer("Dot", axes=[3, 3]), ["a", "b"])], ["it"]
    )
    agree(config, images([4, 5, 3]))


@sums
def test_merge_of_a_value_with_itself(agree, kind):
    if kind == "Subtract":
        pytest.skip("a value less itself is 0, which says nothing")
    config = functional({"input": [5, 4, 2]}, [(layer(kind), ["input", "input"])], ["it"])
    agree(config, images([5, 4, 2]))


@concatenations
def test_concatenation_of_inputs(agree, first, second, axis):
    inputs = {"first": first, "second": second}
    config = functional(inputs, [(layer("Concatenate", axis=axis), list(inputs))], ["it"])
    agree(config, images(first, 1), images(second, 2))


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concatenation_of_an_image_and_convolutions(agree, axis):
    convs = [layer("Conv2D", n, filters=3, kernel_size=[2, 3], padding="same") for n in "ab"]
    calls = [(conv, ["input"]) for conv in convs]
    merge = layer("Concatenate", axis=axis)
    config = functional({"input": [4, 5, 3]}, [*calls, (merge, ["a", "input", "b"])], ["it"])
    agree(config, images([4, 5, 3]))


def test_branches_that_are_read_twice_and_several_outputs(agree):
    conv = layer("Conv2D", "conv", filters=3, kernel_size=[1, 1])
    calls = [
        (conv, ["input"]),
        (layer("Activation", "relu", activation="relu"), ["conv"]),
        (layer("Add", "sum"), ["relu", "conv"]),
        (layer("Flatten", "flat"), ["conv"]),
        (layer("Dense", "dense", units=2), ["flat"]),
    ]
    agree(functional({"input": [2, 3, 2]}, calls, ["dense", "sum"]), images([2, 3, 2]))
