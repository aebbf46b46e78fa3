"""Networks that nobody drew: by hypothesis, or by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import prod
from typing import Any

from generated import activations, blocks
from generated.drawing import Choose, Drawing, Value
from hypothesis import strategies
from keras_notation import Described, functional

RANDOM = {
    "RandomFlip": {"mode": "horizontal"},
    "RandomRotation": {"factor": 0.1},
    "RandomZoom": {"height_factor": 0.1},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomContrast": {"factor": 0.2},
    "RandomBrightness": {"factor": 0.2},
}
PIXELS = ({"scale": 1 / 255, "offset": 0.0}, {"scale": 1 / 127.5, "offset": -1.0})
FLAT = 600
"""Numbers that may be flattened; more are pooled."""


@dataclass(frozen=True)
class Network:
    """A network and how its file comes to be.

    Attributes:
        config: in Keras's notation.
        ending: of the file.
        steps: of training, after the weights were drawn and settled.
        inputs: their shapes, by name.
    """

    config: Described
    ending: str
    steps: int
    inputs: dict[str, tuple[int, ...]]


def network(choose: Choose) -> Network:
    """A network by choices."""
    ending = choose((".keras", ".keras", ".h5"))
    net = Drawing(choose, in_settings=ending != ".h5")
    shape = _shape(choose)
    value = net.given("image", shape)
    inputs = {"image": shape}
    if len(shape) == 3:
        value = _prepared(net, value)
    for _ in range(choose((2, 3, 4, 5, 6))):
        value = _once_more(net, value)
    vector = _vector(net, value)
    if net.one_in(12):
        inputs["numbers"] = (5,)
        beside = net.given("numbers", (5,))
        vector = net.add("Concatenate", [vector, beside], (vector.channels + 5,), axis=-1)
    heads = [_head(net, vector) for _ in range(choose((1, 1, 1, 1, 1, 2)))]
    config = functional("drawn", net.layers, [each.read for each in heads], inputs)
    return Network(config, ending, choose((0,) * 7 + (3,)), inputs)


def of_seed(seed: int) -> Network:
    """The network of a seed, always the same one."""
    return network(random.Random(seed).choice)


@strategies.composite
def networks(draw: Any) -> Network:
    """Networks, the simplest first."""
    return network(lambda options: draw(strategies.sampled_from(list(options))))


def _shape(choose: Choose) -> tuple[int, ...]:
    kind = choose(("image",) * 6 + ("sequence", "sequence", "volume", "volume", "vector"))
    if kind == "image":
        sides = (12, 13, 15, 16, 17, 20, 24, 27, 32)
        return choose(sides), choose(sides), choose((3, 3, 3, 1))
    few = {
        "sequence": (choose((12, 10, 31)), 5),
        "volume": (6, choose((7, 8)), 5, 2),
        "vector": (10,),
    }
    return few[kind]


def _prepared(net: Drawing, value: Value) -> Value:
    """What comes before the first layer with weights: pixels as they are, or brought to about 1."""
    way = net.choose(("Rescaling", "Rescaling", "Normalization", "BatchNormalization", ""))
    if way:
        value = net.add(way, value, **(net.choose(PIXELS) if way == "Rescaling" else {}))
    if net.one_in(3):
        kind = net.choose(tuple(RANDOM))
        if kind == "RandomBrightness" and not net.in_settings:
            kind = "RandomContrast"  # Keras 3.15 cannot save the other one in a .h5 file
        value = net.add(kind, value, **RANDOM[kind])
    return value


def _once_more(net: Drawing, value: Value) -> Value:
    """One block more, whatever the rank."""
    if not value.sizes:
        return _dense(net, value)
    if value.channels > blocks.MOST_CHANNELS:
        return blocks.convolution(net, value, filters=8)
    return _turned(net, value) if net.one_in(5) else net.choose(blocks.BLOCKS)(net, value)


def _turned(net: Drawing, value: Value) -> Value:
    """Other axes, or another number of them."""
    sizes, channels = value.sizes, value.channels
    if len(sizes) == 1:
        kind = net.choose(("mixed", "attended"))
        return _mixed(net, value) if kind == "mixed" else _attended(net, value)
    if len(sizes) == 2:
        ways = (
            ["permuted", "first"] + ["row"] * (prod(sizes) <= 200) + ["deep"] * (channels % 2 == 0)
        )
        way = net.choose(ways)
        if way == "first":
            return _channels_first(net, value)
        if way == "row":
            shape = (prod(sizes), channels)
            return net.add("Reshape", value, shape, target_shape=list(shape))
        if way == "deep" and prod(sizes) <= 200:
            shape = (*sizes, 2, channels // 2)
            return net.add("Reshape", value, shape, target_shape=list(shape))
        return net.add("Permute", value, (sizes[1], sizes[0], channels), dims=[2, 1, 3])
    shape = (sizes[0], sizes[1], sizes[2] * channels)
    return net.add("Reshape", value, shape, target_shape=list(shape))


def _mixed(net: Drawing, value: Value) -> Value:
    """A Dense layer across places."""
    (length,), channels = value.sizes, value.channels
    turned = net.add("Permute", value, (channels, length), dims=[2, 1])
    settings = {"units": length, "activation": activations.argument(net)}
    turned = net.add("Dense", turned, **settings)
    return net.add("Permute", turned, value.shape, dims=[2, 1])


def _attended(net: Drawing, value: Value) -> Value:
    """Attention, spelled out."""
    (length,), few = value.sizes, 6
    asked, known = (net.add("Dense", value, (length, few), units=few) for _ in range(2))
    settings = {"axes": [2, 2], "normalize": net.choose((False, True))}
    alike = net.add("Dot", [asked, known], (length, length), **settings)
    shares = net.add("Softmax", alike, axis=-1)
    return net.add("Dot", [shares, value], value.shape, axes=[2, 1])


def _channels_first(net: Drawing, value: Value) -> Value:
    """A few layers over channels that come first; none has a bias, which Keras adds wrongly."""
    first, (height, width), channels = (
        {"data_format": "channels_first"},
        value.sizes,
        value.channels,
    )
    turned = net.add("Permute", value, (channels, height, width), dims=[3, 1, 2])
    settings = {"filters": 8, "kernel_size": [3, 3], "padding": "same", "use_bias": False, **first}
    turned = net.add("Conv2D", turned, (8, height, width), **settings)
    turned = net.add("BatchNormalization", turned, axis=1)
    turned = activations.layer(net, turned) if net.choose((False, True)) else turned
    return net.add("Permute", turned, (height, width, 8), dims=[2, 3, 1])


def _vector(net: Drawing, value: Value) -> Value:
    """One number a channel, or all of them in a row."""
    rank = len(value.sizes)
    if not rank:
        return value
    if prod(value.shape) <= FLAT and net.choose((True, False)):
        return net.add("Flatten", value, (prod(value.shape),))
    kind = net.choose((f"GlobalAveragePooling{rank}D", f"GlobalMaxPooling{rank}D"))
    return net.add(kind, value, (value.channels,))


def _dense(net: Drawing, value: Value) -> Value:
    """A Dense layer, or another way with one row of numbers."""
    if net.one_in(8):
        rows = net.add("RepeatVector", value, (3, value.channels), n=3)
        return _row(net, rows)
    units, spelling = net.choose((16, 10, 7)), net.choose(("argument", "layer"))
    fixed = {"activation": activations.argument(net)} if spelling == "argument" else {}
    value = net.add("Dense", value, (units,), units=units, **fixed)
    if net.one_in(3):
        value = blocks.normalised(net, value)
    value = activations.layer(net, value) if spelling == "layer" else value
    return blocks.dropped(net, value) if net.one_in(4) else value


def _row(net: Drawing, rows: Value) -> Value:
    """Rows of numbers through a layer, flattened."""
    made = net.add("Dense", rows, (*rows.sizes, 6), units=6, activation=activations.argument(net))
    return net.add("Flatten", made, (prod(made.shape),))


def _head(net: Drawing, vector: Value) -> Value:
    """What the network answers."""
    for _ in range(net.choose((0, 1, 2))):
        vector = _dense(net, vector)
    kind = net.choose(("softmax", "softmax", "softmax", "linear", "sigmoid", "layer"))
    units = net.choose((5, 10, 3)) if kind != "sigmoid" else 1
    if kind != "layer":
        return net.add("Dense", vector, (units,), units=units, activation=kind)
    logits = net.add("Dense", vector, (units,), units=units)
    return net.add("Softmax", logits)
