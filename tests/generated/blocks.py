"""What a network is drawn of: each block reads a value and gives another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

from generated import activations
from generated.drawing import Drawing, Value
from keras_notation import functional, node

DROPOUTS = ("Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization")
MERGES = ("Add", "Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract")
LARGEST = 33
"""Pixels of a side, so that a network takes seconds."""
MOST_CHANNELS = 24


def of_rank(kind: str, value: Value) -> str:
    """The class for as many dimensions as a value has."""
    return f"{kind}{len(value.sizes)}D"


def convolution(net: Drawing, value: Value, keeps: bool = False, **fixed: Any) -> Value:
    """A layer with a kernel that moves; where it keeps, over the same sizes."""
    rank = len(value.sizes)
    kinds = ["Conv", "Conv", "Conv", *(["DepthwiseConv", "SeparableConv"] if rank < 3 else [])]
    grows = not keeps and all(3 * size <= LARGEST + 6 for size in value.sizes)
    kind = net.choose([*kinds, "ConvTranspose", "ConvTranspose"] if grows else kinds)
    kernel = [net.choose((3, 1, 2, 5 if rank < 3 else 3)) for _ in range(rank)]
    padding = "same" if keeps or min(value.sizes) < 8 else net.choose(("same", "valid"))
    stride = 1 if keeps or min(value.sizes) < 3 else net.choose((1, 1, 2, 3))
    dilation = net.choose((1, 1, 1, 2)) if stride == 1 and kind == "Conv" and rank < 3 else 1
    filters = fixed.pop("filters", None) or net.choose((8, 4, 5, 12, 16))
    config: dict[str, Any] = {"padding": padding, "strides": [stride] * rank, **fixed}
    config |= {"use_bias": net.choose((True, True, False)), "kernel_size": kernel}
    if kind == "ConvTranspose":
        sizes = tuple(
            size * stride + (max(k - stride, 0) if padding == "valid" else 0)
            for size, k in zip(value.sizes, kernel, strict=True)
        )
        config["filters"] = filters
        return net.add(f"Conv{rank}DTranspose", value, (*sizes, filters), **config)
    if dilation > 1:
        config["dilation_rate"] = [dilation] * rank
    if rank == 1 and kind == "Conv" and net.one_in(3):
        config["padding"] = padding = "causal"
    sizes = tuple(
        ceil((size - ((k - 1) * dilation if padding == "valid" else 0)) / stride)
        for size, k in zip(value.sizes, kernel, strict=True)
    )
    if kind == "DepthwiseConv":
        each = net.choose((1, 1, 2)) if not keeps and value.channels <= 12 else 1
        filters, config["depth_multiplier"] = value.channels * each, each
    else:
        config["filters"] = filters
    groups = [g for g in (2, 3, 4) if not (value.channels % g or filters % g)]
    if kind == "Conv" and rank < 3 and groups and net.one_in(6):
        config["groups"] = net.choose(groups)
    return net.add(of_rank(kind, value), value, (*sizes, filters), **config)


def plain(net: Drawing, value: Value) -> Value:
    """A convolution, perhaps normalised, activated in one of the spellings, with dropout."""
    spelling = net.choose(("layer", "argument", "none"))
    fixed = {"activation": activations.argument(net)} if spelling == "argument" else {}
    if len(value.sizes) == 1 and net.one_in(3):
        units = net.choose((8, 6, 12))
        value = net.add("Dense", value, (*value.sizes, units), units=units, **fixed)
    else:
        value = convolution(net, value, **fixed)
    if net.choose((True, True, False)):
        value = normalised(net, value)
    if spelling == "layer":
        value = activations.layer(net, value)
    return dropped(net, value) if net.one_in(3) else value


def normalised(net: Drawing, value: Value) -> Value:
    """A normalization, most often that of batches."""
    kind = net.choose(
        ("BatchNormalization",) * 6
        + ("LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization")
        + ("Normalization", "Rescaling")
    )
    config: dict[str, Any] = {}
    if kind == "GroupNormalization":
        config["groups"] = net.choose([g for g in (1, 2, 4) if value.channels % g == 0])
    elif kind == "Rescaling":
        config = {"scale": net.choose((0.5, 2.0)), "offset": net.choose((0.0, -0.25))}
    elif kind in ("BatchNormalization", "LayerNormalization"):
        config["epsilon"] = net.choose((1e-3, 1e-5))
    if kind == "BatchNormalization":
        config |= {
            "center": net.choose((True, True, False)),
            "scale": net.choose((True, True, False)),
        }
    return net.add(kind, value, **config)


def dropped(net: Drawing, value: Value) -> Value:
    """A layer that does nothing at inference."""
    rank = len(value.sizes)
    kind = net.choose((*DROPOUTS, "Identity", *([f"SpatialDropout{rank}D"] * 3 if rank else [])))
    rates = {
        "GaussianNoise": {"stddev": 0.1},
        "ActivityRegularization": {"l2": 0.01},
        "Identity": {},
    }
    return net.add(kind, value, **rates.get(kind, {"rate": 0.2}))


def pooled(net: Drawing, value: Value) -> Value:
    """A pooling."""
    if min(value.sizes) < 4:
        return plain(net, value)
    kind, padding = net.choose(("MaxPooling", "AveragePooling")), net.choose(("valid", "same"))
    size, stride = net.choose((2, 3)), net.choose((2, 1, 3))
    cut = size - 1 if padding == "valid" else 0
    sizes = tuple(ceil((each - cut) / stride) for each in value.sizes)
    ends = [size] * len(sizes), [stride] * len(sizes)
    settings = {"pool_size": ends[0], "strides": ends[1], "padding": padding}
    return net.add(of_rank(kind, value), value, (*sizes, value.channels), **settings)


def resized(net: Drawing, value: Value) -> Value:
    """A border more or less, or another size."""
    rank, sizes = len(value.sizes), value.sizes
    kinds = ["ZeroPadding"]
    if min(sizes) > 4:
        kinds += ["Cropping", "Cropping"]
    if 2 * max(sizes) <= LARGEST:
        kinds += ["UpSampling", "UpSampling"]
    kind = net.choose([*kinds, "Resizing"] if rank == 2 else kinds)
    if kind == "Resizing":
        height, width = net.choose((8, 9, 12)), net.choose((8, 7, 11))
        way = {"interpolation": net.choose(("bilinear", "nearest"))}
        return net.add(
            kind, value, (height, width, value.channels), height=height, width=width, **way
        )
    if kind == "UpSampling":
        settings: dict[str, Any] = {"size": [2] * rank if rank > 1 else 2}
        if rank == 2:
            settings["interpolation"] = net.choose(("nearest", "bilinear"))
        made = tuple(2 * each for each in sizes)
    else:
        border = [[net.choose((1, 0, 2)), net.choose((0, 1))] for _ in sizes]
        sign = 1 if kind == "ZeroPadding" else -1
        made = tuple(each + sign * sum(ends) for each, ends in zip(sizes, border, strict=True))
        key = "padding" if sign > 0 else "cropping"
        settings = {key: border if rank > 1 else border[0]}
    return net.add(f"{kind}{rank}D", value, (*made, value.channels), **settings)


def residual(net: Drawing, value: Value) -> Value:
    """Something of a value, merged with it."""
    beside = convolution(net, value, keeps=True, filters=value.channels)
    if net.choose((True, False)):
        beside = activations.layer(net, normalised(net, beside))
    return net.add(net.choose(MERGES), [beside, value])


def branches(net: Drawing, value: Value) -> Value:
    """Parallel layers that are joined; some of them are alike."""
    made = []
    for _ in range(net.choose((2, 3))):
        settings = {"activation": activations.argument(net)} if net.choose((True, False)) else {}
        made.append(convolution(net, value, keeps=True, filters=net.choose((6, 4)), **settings))
    if len({each.shape for each in made}) == 1 and net.choose((True, False)):
        kind = net.choose(MERGES)
        return net.add(kind, made[:2] if kind == "Subtract" else made)
    channels = sum(each.channels for each in made)
    return net.add("Concatenate", made, (*value.sizes, channels), axis=-1)


def shared(net: Drawing, value: Value) -> Value:
    """A layer that is called twice, the second time on what it gave."""
    once = convolution(net, value, keeps=True, filters=value.channels, activation="tanh")
    net.layers[-1]["inbound_nodes"].append(node(once.read))
    return net.add("Add", [once, Value((once.read, 1), once.shape)])


def nested(net: Drawing, value: Value) -> Value:
    """A model inside."""
    inside = Drawing(net.choose, net.in_settings, names=net.names)
    given = f"inner_{next(net.names)}"
    last = inside.given(given, value.shape)
    for _ in range(net.choose((1, 2))):
        last = net.choose((plain, residual))(inside, last)
    name = f"model_{next(net.names)}"
    net.layers.append(functional(name, inside.layers, [last.read], [given], [value.read]))
    return Value(name, last.shape)


def squeezed(net: Drawing, value: Value) -> Value:
    """Channels weighted by what is in all of them."""
    rank, channels = len(value.sizes), value.channels
    kind = net.choose((f"GlobalAveragePooling{rank}D", f"GlobalMaxPooling{rank}D"))
    factors = net.add(kind, value, (*[1] * rank, channels), keepdims=True)
    few = {"units": 4, "activation": net.choose(("relu", "silu"))}
    factors = net.add("Dense", factors, (*[1] * rank, 4), **few)
    gate = net.choose(("sigmoid", "hard_sigmoid"))
    factors = net.add("Dense", factors, (*[1] * rank, channels), units=channels, activation=gate)
    return net.add("Multiply", [value, factors])


BLOCKS: Sequence[Callable[[Drawing, Value], Value]] = (
    *(plain, plain, plain, plain, pooled, pooled, resized, resized, residual, residual),
    *(branches, branches, shared, nested, squeezed, normalised),
)
"""Of values with sizes, each as often as it is wanted."""
