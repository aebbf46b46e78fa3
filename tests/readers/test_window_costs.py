"""Multiply-accumulates of sliding windows against counts by hand."""

import pytest

from conversion.readers.schema import LAYERS

CONV = {"filters": 6, "kernel_size": [3], "padding": "valid", "strides": [1]}
COSTS = {
    "sequence": ("Conv1D", {**CONV, "groups": 2}, (8, 4), 6 * 6 * 3 * 2),
    "sequence that is channels first": (
        "Conv1D",
        {**CONV, "data_format": "channels_first"},
        (4, 9),
        7 * 6 * 3 * 4,
    ),
    "halved by glu": ("Conv1D", {**CONV, "activation": "glu"}, (8, 4), 6 * 6 * 3 * 4),
    "separable": (
        "SeparableConv2D",
        {**CONV, "kernel_size": [3, 2], "strides": [1, 1], "depth_multiplier": 2},
        (8, 5, 4),
        6 * 4 * (4 * 2 * 3 * 2 + 4 * 2 * 6),
    ),
    "transposed": (
        "Conv2DTranspose",
        {**CONV, "kernel_size": [3, 2], "strides": [2, 2]},
        (8, 5, 4),
        8 * 5 * 4 * 3 * 2 * 6,
    ),
    "pool": ("MaxPooling1D", {"pool_size": [2], "padding": "valid"}, (8, 4), 0),
}


@pytest.mark.parametrize(("kind", "config", "shape", "cost"), COSTS.values(), ids=COSTS)
def test_cost_of_a_window(kind, config, shape, cost):
    rule = LAYERS[kind]
    assert rule.cost(config, [shape], rule.shape(config, [shape])) == cost
