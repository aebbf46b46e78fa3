"""Which tensors of an int8 LiteRT file have a scale of their own, and which hang together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from conversion.proof.taps.network import Computed, Network

Place = tuple[str, bool]
"""A layer, and whether it is meant as it is before its own activation."""

CALIBRATED = (
    *("conv_2d", "depthwise_conv_2d", "transpose_conv", "fully_connected", "batch_matmul"),
    *("add", "sub", "mul", "div", "relu", "relu6", "leaky_relu", "mean"),
)
"""Operators whose output has a range of its own, which a calibration gives."""

_OF_ONE = (1 / 256, -128)
FIXED = {
    "int8": {"softmax": _OF_ONE, "logistic": _OF_ONE, "tanh": (1 / 128, 0)},
    "uint8": {"softmax": (1 / 256, 0), "logistic": (1 / 256, 0), "tanh": (1 / 128, 128)},
    "int16": dict.fromkeys(("softmax", "logistic", "tanh"), (1 / 32768, 0)),
}
"""Integers to the operators whose output has one scale and zero point in every file (LiteRT's
8-bit quantization specification)."""

SAME = (
    *("max_pool_2d", "average_pool_2d", "reduce_max", "concatenation"),
    *("reshape", "squeeze", "expand_dims", "batch_to_space_nd", "space_to_batch_nd", "transpose"),
    *("pack", "unpack", "broadcast_to", "pad", "padv2", "strided_slice", "slice", "tile"),
    *("resize_bilinear", "resize_nearest_neighbor"),
)
"""Operators whose output must have the scale and zero point of what they read (the same)."""

MIXING = ("average_pool_2d", "concatenation", "resize_bilinear", "pad", "padv2")
"""Of these, those that do not commute with cutting off."""

POOLING = ("max_pool_2d", "reduce_max")
"""Operators that give the largest of what they read."""

OVERWRITING = ("add", "sub", "mul", "div")
"""Operators that are written over what they read."""

EXTREMES = ("maximum", "minimum")
CHOOSING = ("select", "select_v2", *EXTREMES)
"""Operators that give one or the other of their operands, each with the result's scale."""

COMPARING = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
"""Operators that give a truth value."""


def tied(
    network: Network, places: Mapping[str, Place], sizes: Mapping[str, int]
) -> tuple[dict[str, Place], dict[str, str]]:
    """How the ranges of tensors hang together in a LiteRT file.

    The operands of a choice have its result's scale, which holds all that matters of them there: a
    layer's output that is read elsewhere as well must hold its own, and TensorFlow 2.21 cuts it off
    all the same. The operands of a concatenation have the scale that holds them all, as has what
    they are pooled or moved from, and where the result is concatenated again it is the last one's.
    A sum, a product, a scale or a shift is written over the first operand of its size that nothing
    else reads, and TensorFlow 2.21 records its inputs once more afterwards: such an operand has the
    result's range too (tensorflow/tensorflow#127842).

    Args:
        network: the file's.
        places: tensor to the layer that it holds.
        sizes: layer to the number of its elements.

    Returns:
        What tensors hold, without those of which nothing can be said, and tensor to the tensor
        whose values it had as well.
    """
    kept, also = dict(places), dict[str, str]()

    def whole(name: str) -> str:
        """The tensor of integers that one in float is made from: it was recorded before that."""
        return network.of(name).reads[0] if network.kind(name) == "dequantize" else name

    def fits(operand: str, result: str) -> bool:
        known = operand in kept and result in kept
        found = {sizes[kept[each][0]] for each in (operand, result) if known}
        return len(found) < 2 and len(network.readers[operand]) == 1

    for each in reversed(network.tensors):
        joined = also.get(each.name, each.name if each.kind == "concatenation" else "")
        for name in each.reads if joined and each.kind in (*SAME, "dequantize") else ():
            also.setdefault(name, joined)  # a concatenation in float gave its range all the same
    for name in [name for name in also if only_pooled(network, name)]:
        kept.pop(name, None)
    for each in network.tensors:
        if each.kind in OVERWRITING and (len(each.reads) > 1 or each.constants):
            alone = (whole(n) for n in each.reads if len(network.readers[n]) == 1)
            name = next((n for n in alone if fits(n, each.name)), "")
            if name and each.name in kept:
                also.setdefault(name, each.name)
            else:
                kept.pop(name, None)
    for each in reversed(network.tensors):
        read = each.reads if each.kind in CHOOSING else ()
        for name, owned in (
            behind for operand in read for behind in scaled(network, kept, operand)
        ):
            also.setdefault(name, also.get(each.name, each.name))
            if owned:
                continue
            kept.pop(name, None)
            if each.name in kept:
                kept[name] = kept[each.name]
    return kept, also


def only_pooled(network: Network, name: str) -> bool:
    """Whether all that reads a tensor takes the largest of its values.

    The scale of what they are concatenated to, which it has too, may then cut off its lowest.
    """
    return bool(network.readers[name]) and all(
        each.kind in POOLING or (each.moves and only_pooled(network, each.name))
        for each in network.readers[name]
    )


def scaled(
    network: Network, places: Mapping[str, Place], operand: str
) -> Iterator[tuple[str, bool]]:
    """What a choice reads, and what has its scale as it is only moved, cast or pooled from it.

    Args:
        network: the file's.
        places: tensor to the layer that it holds.
        operand: the tensor.

    Yields:
        A tensor, and whether it must hold its own range as well, as something else computes with it
        or with what is made of it on the way.
    """

    def behind(name: str, owned: bool) -> Iterator[tuple[str, bool]]:
        yield name, owned
        each = network.of(name)
        for read in each.reads if each.moves or each.kind in (*SAME, "dequantize") else ():
            several = any(len(network.readers[tensor]) > 1 for tensor in (name, read))
            yield from behind(read, owned or several or each.kind in MIXING)

    yield from behind(operand, is_shared(network, places, operand))


def is_shared(network: Network, places: Mapping[str, Place], operand: str) -> bool:
    """Whether what a choice reads is a layer's value that something else computes with as well.

    Of a value before an activation that is part of the choice, what compares it needs no more of
    it than the choice.

    Args:
        network: the file's.
        places: tensor to the layer that it holds.
        operand: the tensor.
    """
    if operand not in places:
        return False
    inside, read_by = places[operand][1], network.readers[operand]
    return any(map(_computes, read_by)) if inside else len(read_by) > 1


def _computes(step: Computed) -> bool:
    return not step.moves and step.kind not in (*CHOOSING, *COMPARING, "dequantize")
