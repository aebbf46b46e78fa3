"""Models with nested models and shared layers whose int8 files are judged."""


def entry(kind, name, *calls, **settings):
    """A layer of a functional model; each call is a name, a pair of name and call, or a list."""
    made = {"module": "keras.layers", "class_name": kind, "config": {"name": name, **settings}}
    return made | {"name": name, "inbound_nodes": [node(call) for call in calls]}


def node(call, **kwargs):
    read = [tensor(each) for each in call] if isinstance(call, list) else tensor(call)
    return {"args": [read], "kwargs": kwargs}


def tensor(read):
    name, call = (read, 0) if isinstance(read, str) else read
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, call, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def image(name):
    return entry("InputLayer", name, batch_shape=[None, 6, 6, 3], dtype="float32")


def conv(name, *calls, **settings):
    same = {"filters": 3, "kernel_size": [3, 3], "padding": "same", "activation": "relu"}
    return entry("Conv2D", name, *calls, **same | settings)


def functional(name, layers, outputs, first, calls=()):
    config = {
        "name": name,
        "layers": layers,
        "input_layers": [[first, 0, 0]],
        "output_layers": [[each, 0, 0] for each in outputs],
    }
    kind = {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}
    return kind | {"name": name, "inbound_nodes": [node(call, training=False) for call in calls]}


def block(*calls):
    layers = [image("start"), conv("first", "start"), conv("last", "first", activation="linear")]
    return functional(
        "block", [*layers, entry("Add", "sum", ["last", "start"])], ["sum"], "start", calls
    )


def tail(read):
    return [
        entry("GlobalAveragePooling2D", "pool", read),
        entry("Dense", "head", "pool", units=4),
    ]


MODELS = {
    "nested block": functional("m", [image("x"), block("x"), *tail("block")], ["head"], "x"),
    "shared layer": functional(
        "m",
        [image("x"), conv("same", "x", ("same", 0), ("same", 1)), *tail(("same", 2))],
        ["head"],
        "x",
    ),
}
"""Name of the model to its description in the notation of Keras 3."""
