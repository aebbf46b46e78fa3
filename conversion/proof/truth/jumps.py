"""Images on which rounding decides on which side of an activation's jump a value comes to lie.

Nobody's answer there is the right one: Keras itself gives 0 or 0.5 for a value of 0.5 in a
`hard_shrink`, as its last digit falls.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof import truth

REACH = 4e-6
"""Part of the values' rms by which rounding may move one: Keras's float32 lies 1e-7 to 1e-6 of it
from the truth, behind tens of layers."""


def edges_of(layer: Layer) -> tuple[float, ...]:
    """The values before a layer's activation, or before the layer if it is one, where that jumps.

    Args:
        layer: any.
    """
    setting = layer.applied
    if layer.kind == "ReLU":
        threshold = layer.config.get("threshold")
    elif isinstance(setting, Mapping):
        threshold = setting["config"].get("threshold") if setting["class_name"] == "ReLU" else 0
    elif setting == "hard_shrink":
        return (-0.5, 0.5)
    else:
        return ()
    return (float(threshold),) if threshold else ()


def at_a_jump(spec: Spec, inputs: Mapping[str, np.ndarray], chunk: int) -> np.ndarray:
    """Which images have a value so close to a jump that rounding decides, ``(N,)`` bool.

    Args:
        spec: the model.
        inputs: input name to ``(N, ...)``.
        chunk: images evaluated at a time.
    """
    jumping = [layer for layer in spec.layers if edges_of(layer)]
    inside = {layer.name: edges_of(layer) for layer in jumping if layer.kind != "ReLU"}
    read: dict[str, tuple[float, ...]] = {}
    for layer in (each for each in jumping if each.kind == "ReLU"):
        read[layer.inputs[0]] = read.get(layer.inputs[0], ()) + edges_of(layer)
    found = np.zeros(len(next(iter(inputs.values()))), bool)
    for start in range(0, len(found) if jumping else 0, chunk):
        part = {name: array[start : start + chunk] for name, array in inputs.items()}
        for layer, before, after in truth.walk(spec, part, inside.keys() | read.keys()):
            near = [
                _is_near(np.concatenate(values), edges[layer.name])
                for edges, values in ((inside, before), (read, after))
                if layer.name in edges
            ]
            found[start : start + chunk] |= np.any(near, axis=0)
    return found


def _is_near(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Of ``(N, ...)`` values which of N have one within the reach of an edge."""
    reach, flat = REACH * float(np.sqrt(np.square(values).mean())), values.reshape(len(values), -1)
    near = [(np.abs(flat - edge) <= reach).any(axis=1) for edge in edges]
    return np.asarray(np.any(near, axis=0))
