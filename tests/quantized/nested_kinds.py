"""Models with nested models and shared layers whose int8 files are judged."""

from keras_notation import entry, functional


def image(name):
    return entry("InputLayer", name, batch_shape=[None, 6, 6, 3], dtype="float32")


def conv(name, *calls, **settings):
    same = {"filters": 3, "kernel_size": [3, 3], "padding": "same", "activation": "relu"}
    return entry("Conv2D", name, *calls, **same | settings)


SEPARABLE = {"filters": 3, "kernel_size": [3, 3], "padding": "same", "activation": "relu"}


def block(*calls):
    layers = [image("start"), conv("first", "start"), conv("last", "first", activation="linear")]
    return functional(
        "block", [*layers, entry("Add", "sum", ["last", "start"])], ["sum"], ["start"], calls
    )


def tail(read):
    return [
        entry("GlobalAveragePooling2D", "pool", read),
        entry("Dense", "head", "pool", units=4),
    ]


MODELS = {
    "nested block": functional("m", [image("x"), block("x"), *tail("block")], ["head"], ["x"]),
    "shared layer": functional(
        "m",
        [image("x"), conv("same", "x", ("same", 0), ("same", 1)), *tail(("same", 2))],
        ["head"],
        ["x"],
    ),
    "shared separable layer": functional(
        "m",
        [
            image("x"),
            entry("SeparableConv2D", "same", "x", ("same", 0), **SEPARABLE),
            *tail(("same", 1)),
        ],
        ["head"],
        ["x"],
    ),
}
"""Name of the model to its description in the notation of Keras 3."""
