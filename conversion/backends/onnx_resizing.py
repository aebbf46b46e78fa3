"""What tf2onnx writes for images of another size, written so that no row is lost or another's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from conversion.backends.onnx_nodes import attributes, shapes


def nearest_gathered(model: ModelProto) -> bool:
    """Write each Resize to the nearest as Gathers of the rows that Keras takes, in place.

    ONNX Runtime multiplies by 1 / (after / before), TensorFlow by before / after: where a pixel's
    centre lies just on a row, one of them takes the row before. onnx2torch 1.5.15 counts from the
    corners of pixels. A factor that is a whole number is right in all of them, and stays.

    Args:
        model: whose sizes are known.

    Returns:
        Whether there was one.
    """
    gathers: dict[str, list[NodeProto]] = {}
    for node, scales, sizes in _resized(model):
        chosen = attributes(node)
        centred = chosen.get("coordinate_transformation_mode") == b"tf_half_pixel_for_nn"
        if not centred or chosen.get("mode", b"nearest") != b"nearest" or not sizes[2:].all():
            continue
        if not np.any(scales % 1):
            continue
        moved = [axis for axis in range(len(sizes)) if scales[axis] != 1]
        last, gathers[node.output[0]] = node.input[0], []
        for axis in moved:
            name = f"{node.output[0]}_rows_{axis}"
            rows = _rows(int(sizes[axis]), int(np.rint(sizes[axis] * scales[axis])))
            model.graph.initializer.append(numpy_helper.from_array(rows, name))
            is_last = axis == moved[-1]
            given = node.output[0] if is_last else f"{name}_taken"
            label = node.name if is_last else f"{node.name}_{axis}"
            made = helper.make_node("Gather", [last, name], [given], label, axis=axis)
            gathers[node.output[0]].append(made)
            last = given
    if gathers:
        nodes = [each for n in model.graph.node for each in gathers.get(n.output[0], [n])]
        read = {name for node in nodes for name in node.input}
        gone = {name for n in model.graph.node if n.output[0] in gathers for name in n.input} - read
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        kept = [each for each in model.graph.initializer if each.name not in gone]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
    return bool(gathers)


def _rows(before: int, after: int) -> np.ndarray:
    """The row that each new one is, chosen in float32 as TensorFlow chooses it."""
    scale = np.float32(before) / np.float32(after)
    places = (np.arange(after, dtype=np.float32) + np.float32(0.5)) * scale
    return np.asarray(np.minimum(np.floor(places).astype(np.int64), before - 1))


def scales_raised(model: ModelProto) -> bool:
    """Raise scales that float32 rounded down so far that a row is lost.

    By ONNX's rules 6 rows times 1.1666666 are 6 and not 7: its checker then refuses the file. No
    other scale is touched: a raised one may move what lies just on a row to the one before.

    Args:
        model: rewritten in place.

    Returns:
        Whether there was one.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    changed = False
    for node, scales, sizes in _resized(model):
        lost = np.floor(sizes * scales) < np.rint(sizes * scales)
        if lost.any():
            raised = np.where(lost, np.nextafter(scales, np.float32(np.inf)), scales)
            name = node.input[2]
            stored[name].CopyFrom(numpy_helper.from_array(raised.astype(np.float32), name))
            changed = True
    return changed


def _resized(model: ModelProto) -> Iterator[tuple[NodeProto, np.ndarray, np.ndarray]]:
    """Each Resize with its scales and the sizes that it reads, 0 where one is not known."""
    resizing = [n for n in model.graph.node if n.op_type == "Resize" and len(n.input) > 2]
    if not resizing:
        return
    known = shapes(model, followed=False)
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for node in resizing:
        scales, sizes = stored.get(node.input[2]), np.array(known.get(node.input[0], []), float)
        if scales is not None and scales.shape == sizes.shape:
            yield node, scales, sizes
