"""What tf2onnx writes and cannot stay, written otherwise; parity judges it like any other file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from conversion.backends.onnx_means import means_by_axis
from conversion.backends.onnx_nodes import attributes, shapes, state
from conversion.backends.onnx_resizing import nearest_gathered, scales_raised

ONE = "conversion_one"
LOWEST = "conversion_lowest"
CONSTANTS = {ONE: np.array(1.0, np.float32), LOWEST: np.array(np.finfo(np.float32).min)}
"""Constants of the rewritten parts, by name."""

NOT_NEGATIVE = ("Relu", "Sigmoid", "Softmax")
"""Operators after which a padding of 0 and one of minus infinity have the same maxima."""


def _erfc(node: NodeProto) -> list[NodeProto]:
    """``erfc(x) = 1 - erf(x)``."""
    inner = f"{node.output[0]}_erf"
    return [
        helper.make_node("Erf", [node.input[0]], [inner], f"{node.name}_erf"),
        helper.make_node("Sub", [ONE, inner], [node.output[0]], node.name),
    ]


def _expm1(node: NodeProto) -> list[NodeProto]:
    """``expm1(x) = exp(x) - 1``."""
    inner = f"{node.output[0]}_exp"
    return [
        helper.make_node("Exp", [node.input[0]], [inner], f"{node.name}_exp"),
        helper.make_node("Sub", [inner, ONE], [node.output[0]], node.name),
    ]


UNKNOWN: dict[str, Callable[[NodeProto], list[NodeProto]]] = {"Erfc": _erfc, "Expm1": _expm1}
"""Operators that tf2onnx 1.17 writes (for gelu and celu) and ONNX does not have, to what stands for
them."""


def rewrite(model: ModelProto, grouped: bool = False) -> list[str]:
    """Rewrite what no runtime opens, and what ONNX Runtime makes another network of, in place.

    Args:
        model: as tf2onnx writes it.
        grouped: whether a convolution of the model has groups.

    Returns:
        What was rewritten and why, in words.
    """
    nodes: list[NodeProto] = []
    done: dict[str, None] = {}
    held = {node.output[0]: node for node in _held(model.graph.node)}
    for node in model.graph.node:
        if node.domain == "" and node.op_type in UNKNOWN:
            nodes += UNKNOWN[node.op_type](node)
            done[f"{node.op_type} rewritten, which ONNX does not have"] = None
        elif node.output[0] in held:
            inner = f"{node.output[0]}_padded"
            kept = NodeProto()
            kept.CopyFrom(node)
            kept.output[0] = inner
            name = f"{node.name}_held"
            nodes += [kept, helper.make_node("Max", [inner, LOWEST], [node.output[0]], name)]
            done[
                "paddings of 0 kept apart from the MaxPool behind them, which ONNX Runtime merges "
                "as if they were of minus infinity"
            ] = None
        else:
            nodes.append(node)
    if done:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        read = {name for node in nodes for name in node.input}
        stored = [numpy_helper.from_array(v, name) for name, v in CONSTANTS.items() if name in read]
        model.graph.initializer.extend(stored)
    if nearest_gathered(model):
        done["nearest Resize written as Gathers of the rows that Keras takes"] = None
    if scales_raised(model):
        done["scales of Resize raised by their last digit, lest a row be lost"] = None
    if _room_behind(model):
        done["negative paddings of ConvTranspose written as its output_padding"] = None
    if means_by_axis(model):
        done["means of many values taken axis by axis, which loses fewer digits"] = None
    if grouped and _counted_groups(model):
        done["groups of convolutions counted, behind sizes that tf2onnx does not follow"] = None
    if _stated_paddings(model):  # last: no size is known behind an operator that ONNX lacks
        done["paddings of grouped convolutions stated, which onnx2torch does not compute"] = None
    return list(done)


def _room_behind(model: ModelProto) -> bool:
    """State as output_padding what a kernel smaller than its stride leaves open.

    tf2onnx shares it out to both ends as negative paddings, which ONNX does not have. Keras has all
    of it behind the last row.
    """
    changed = False
    for node in model.graph.node:
        given = attributes(node) if node.op_type == "ConvTranspose" else {}
        pads = list(given.get("pads", ()))
        if not any(each < 0 for each in pads):
            continue
        half = len(pads) // 2
        totals = [first + last for first, last in zip(pads[:half], pads[half:], strict=True)]
        open_ = [total < 0 for total in totals] * 2
        chosen = {
            "pads": [0 if each else pad for each, pad in zip(open_, pads, strict=True)],
            "output_padding": [max(-total, 0) for total in totals],
        }
        state(node, chosen)
        changed = True
    return changed


def _counted_groups(model: ModelProto) -> bool:
    """State the groups of convolutions, which tf2onnx takes for one where a size is not known."""
    sizes, changed = shapes(model), False
    kernels = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for node in (each for each in model.graph.node if each.op_type == "Conv"):
        size, kernel = sizes.get(node.input[0], []), kernels.get(node.input[1], [])
        if len(size) < 2 or len(kernel) < 2 or attributes(node).get("group", 1) != 1:
            continue
        if size[1] <= kernel[1]:
            continue
        state(node, {"group": size[1] // kernel[1]})
        changed = True
    return changed


def _stated_paddings(model: ModelProto) -> bool:
    """State the paddings of convolutions that leave them to the runtime, where sizes are known."""
    asked = [
        node
        for node in model.graph.node
        if any(a.name == "auto_pad" and a.s == b"SAME_UPPER" for a in node.attribute)
        and node.op_type == "Conv"
    ]
    if not asked:
        return False
    # Dense on images is a Reshape to computed sizes, which only values that are followed tell.
    sizes = shapes(model)
    kernels = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    changed = False
    for node in asked:
        size, window = sizes.get(node.input[0], []), kernels.get(node.input[1], [])
        spatial = size[2:]
        if not window or len(size) != len(window) or not all(spatial):
            continue
        given = attributes(node)
        ones = [1] * len(spatial)
        steps = zip(
            *(spatial, window[2:], given.get("strides", ones), given.get("dilations", ones)),
            strict=True,
        )
        totals = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in steps]
        pads = [t // 2 for t in totals] + [t - t // 2 for t in totals]
        state(node, {"pads": pads}, without=["auto_pad"])
        changed = True
    return changed


def _held(nodes: Iterable[NodeProto]) -> list[NodeProto]:
    """Paddings in front of a MaxPool alone, of values that may be negative.

    ONNX Runtime 1.31 gives them to the MaxPool at its first level of optimisation: ResNet50V2's
    logits then lie 1,100 times Keras's noise from the truth.
    """
    listed = list(nodes)
    writers = {name: node for node in listed for name in node.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in listed:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in listed:
        before = writers.get(node.input[0]) if node.input else None
        safe = before is not None and before.op_type in NOT_NEGATIVE
        behind = [each.op_type for each in readers.get(node.output[0], [])]
        if node.op_type == "Pad" and behind == ["MaxPool"] and not safe:
            found.append(node)
    return found
