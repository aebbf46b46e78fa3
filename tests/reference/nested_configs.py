"""Models with nested models and shared layers, as Keras 3 describes them and as Keras 2 did."""

import copy

from keras_notation import entry, functional, node, tensor

SHAPE = (6, 6, 3)


def image(name):
    return entry("InputLayer", name, batch_shape=[None, *SHAPE])


def conv(name, *calls, **settings):
    known = {"filters": 3, "kernel_size": [3, 3], "padding": "same", "activation": "relu"}
    return entry("Conv2D", name, *calls, **known | settings)


def sequential(name, layers, calls=()):
    made = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": name, "layers": layers},
    }
    return made | {"name": name, "inbound_nodes": [node(call, mask=None) for call in calls]}


def chain(name="chain", calls=("image",)):
    """A Sequential model with an input of its own."""
    inner = [
        image("inside"),
        conv("first", activation="linear"),
        entry("BatchNormalization", "norm"),
    ]
    return sequential(name, inner, calls)


def block(name="block", calls=("image",)):
    """A functional model with a Sequential one in it."""
    layers = [image("start"), chain("deep", ["start"]), conv("last", "deep")]
    layers += [entry("Add", "sum", ["last", "start"])]
    return functional(name, layers, ["sum"], ["start"], calls)


def alone(model):
    """A model whose one input and output are written alone, as Keras 3 does in a Sequential."""
    for key in ("input_layers", "output_layers"):
        (model["config"][key],) = model["config"][key]
    return model


def two_ends(name="ends", calls=("image",)):
    layers = [image("start"), conv("left", "start"), conv("right", "start")]
    return functional(name, layers, ["right", "left"], ["start"], calls)


def second(name):
    """A reference to the second tensor of a model's only call."""
    made = tensor(name)
    made["config"]["keras_history"][2] = 1
    return made


def tail(*reads):
    return [
        entry("GlobalAveragePooling2D", "pool", *reads),
        entry("Dense", "head", "pool", units=4),
    ]


def reading_second():
    layer = entry("Add", "sum", ["ends", "ends"])
    layer["inbound_nodes"][0]["args"] = [[tensor("ends"), second("ends")]]
    return layer


MODELS = {
    "sequential": functional("m", [image("image"), chain(), *tail("chain")], ["head"]),
    "functional": functional("m", [image("image"), block(), *tail("block")], ["head"]),
    "first-of-a-sequential": sequential("m", [chain(calls=()), *tail()]),
    "functional-in-a-sequential": sequential(
        "m",
        [
            sequential(
                "features", [alone(block(calls=())), entry("GlobalAveragePooling2D", "pool")]
            ),
            sequential("classifier", [entry("Dense", "head", units=4)]),
        ],
    ),
    "shared-layer": functional(
        "m",
        [image("image"), conv("same", "image", ("same", 0), ("same", 1)), *tail(("same", 2))],
        ["head"],
    ),
    "shared-model": functional(
        "m",
        [
            image("image"),
            image("other"),
            block(calls=["image", "other"]),
            entry("Subtract", "difference", [("block", 0), ("block", 1)]),
            *tail("difference"),
        ],
        ["head"],
        ["image", "other"],
    ),
    "one-after-another": functional(
        "m", [image("image"), chain(calls=["image", ("chain", 0)]), *tail(("chain", 1))], ["head"]
    ),
    "two-outputs-inside": functional(
        "m", [image("image"), two_ends(), reading_second(), *tail("sum")], ["head"]
    ),
    "outputs-inside": functional("m", [image("image"), block()], [("block", 1)]),
    "both-calls-are-outputs": functional(
        "m",
        [image("image"), image("other"), block(calls=["image", "other"])],
        [("block", 1), ("block", 2)],
        ["image", "other"],
    ),
    "same-names-inside": functional(
        "m",
        [image("image"), conv("first", "image"), chain("a", ["first"]), chain("b", ["a"])],
        [("b", 0)],
    ),
}
"""Stable words to a model in the notation of Keras 3, which counts outputs of models from 1."""


def as_keras_2(config):
    """The same description in the notation of Keras 2, which counts all calls of models from 1."""
    config = copy.deepcopy(config)
    _old(config)
    return config


def _old(config):
    inner = config["config"]
    for key in ("input_layers", "output_layers"):
        if key in inner and isinstance(inner[key][0], str):  # Keras 2 wrote a list of one
            inner[key] = [inner[key]]
    nested = {e["config"]["name"]: e["class_name"] for e in inner["layers"]}
    models = {name for name, kind in nested.items() if kind in ("Functional", "Sequential")}
    for each in inner["layers"]:
        each.pop("module", None)
        if each["class_name"] in ("Functional", "Sequential"):
            _old(each)
        if "inbound_nodes" in each:
            each["inbound_nodes"] = [_old_call(call, models) for call in each["inbound_nodes"]]
    for end in inner.get("output_layers", []):
        if nested[end[0]] == "Sequential":
            end[1] += 1


def _old_call(call, models):
    read = call["args"][0] if isinstance(call["args"][0], list) else call["args"]
    found = [each["config"]["keras_history"] for each in read]
    return [[name, at + (name in models), end, call["kwargs"]] for name, at, end in found]
