"""Means of many values in a graph, taken one axis after another."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from conversion.backends.onnx_nodes import attributes, shapes

MANY = 1024
"""Values of a mean from which on their sum in one loses digits that float32 has."""


def means_by_axis(model: ModelProto) -> bool:
    """Take the means of many values axis by axis, in place.

    ONNX Runtime adds the values of all axes up one after another: of the 90,720 that a
    GroupNormalization of images of 18 x 21 x 15 measures the mean was off by 4.7e-6 of the spread,
    taken axis by axis by 2.9e-8. TensorFlow adds in pairs.

    Args:
        model: as tf2onnx writes it.

    Returns:
        Whether there were any.
    """
    stored = {each.name: each for each in model.graph.initializer}
    means = {
        node.output[0]: axes
        for node in model.graph.node
        if node.op_type == "ReduceMean" and len(axes := _axes(node, stored)) > 1
    }
    if not means:
        return False
    known = shapes(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        shape = known.get(node.input[0], []) if node.output[0] in means else []
        axes = sorted({each % len(shape) for each in means[node.output[0]]}) if shape else []
        sizes = [shape[each] for each in axes]
        if len(axes) > 1 and (not all(sizes) or prod(sizes) >= MANY):
            nodes += _chain(model, node, axes)
        else:
            nodes.append(node)
    changed = len(nodes) > len(model.graph.node)
    if changed:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return changed


def _axes(node: NodeProto, stored: dict[str, TensorProto]) -> list[int]:
    """The axes of a mean, an attribute up to opset 17 and an input behind; none if computed."""
    if len(node.input) < 2:
        return list(attributes(node).get("axes", ()))
    given = stored.get(node.input[1])
    return [] if given is None else numpy_helper.to_array(given).tolist()


def _chain(model: ModelProto, node: NodeProto, axes: list[int]) -> list[NodeProto]:
    """The same mean of one axis after another, the last one first: it may go."""
    keeps, found, read = attributes(node).get("keepdims", 1), list[NodeProto](), node.input[0]
    for axis in reversed(axes):
        last = axis == axes[0]
        target = node.output[0] if last else f"{node.output[0]}_{axis}"
        name = node.name if last else f"{node.name}_{axis}"
        if len(node.input) < 2:
            each = helper.make_node(
                "ReduceMean", [read], [target], name, axes=[axis], keepdims=keeps
            )
        else:
            given = f"{node.output[0]}_axis_{axis}"
            model.graph.initializer.append(numpy_helper.from_array(np.array([axis]), given))
            each = helper.make_node("ReduceMean", [read, given], [target], name, keepdims=keeps)
        found.append(each)
        read = target
    return found
