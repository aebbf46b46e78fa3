"""Sums, products and concatenations of branches compute what Keras computes."""

import pytest
from keras_configs import functional, images, layer

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
sums = pytest.mark.parametrize("kind", ["Add", "Multiply"])


@sums
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


@sums
def test_merge_of_a_value_with_itself(agree, kind):
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
