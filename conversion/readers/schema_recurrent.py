"""Recurrent layers, and what holds one, as the reader sees them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from math import prod

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape
from conversion.readers.held_layers import held
from conversion.readers.schema_windows import window_output
from conversion.readers.spatial_axes import FORMATS, joined, parted, per_axis


def _sequence(config: Config, steps: int | None, value: Shape) -> Shape:
    return (steps, *value) if config.get("return_sequences") else value


def _recurrent(config: Config, inputs: Inputs) -> Shape:
    steps, _ = _steps(inputs)
    return _sequence(config, steps, (int(config["units"]),))


def _steps(inputs: Inputs) -> tuple[int | None, int]:
    if len(inputs) != 1 or len(inputs[0]) != 2 or inputs[0][1] is None:
        raise UserError(f"it expects one sequence of steps and features; its input is {inputs}.")
    return inputs[0][0], int(inputs[0][1])


def _cell(gates: int, config: Config, inputs: Inputs) -> dict[str, Shape]:
    units = int(config["units"])
    weights: dict[str, Shape] = {
        "cell/kernel": (_steps(inputs)[1], gates * units),
        "cell/recurrent_kernel": (units, gates * units),
    }
    if config.get("use_bias", True):
        twice = gates == 3 and config.get("reset_after", True)
        weights["cell/bias"] = (2, gates * units) if twice else (gates * units,)
    return weights


def _cell_cost(gates: int, config: Config, inputs: Inputs, output: Shape) -> int:
    kernels = [w for role, w in _cell(gates, config, inputs).items() if "kernel" in role]
    return (inputs[0][0] or 1) * sum(prod(size or 1 for size in kernel) for kernel in kernels)


def _of_images(rank: int, config: Config, inputs: Inputs) -> Shape:
    sizes, _ = parted(config, inputs[0][1:], rank)
    settings = (config["kernel_size"], config.get("strides") or 1, config.get("dilation_rate") or 1)
    window, strides, dilation = (per_axis(each, rank) for each in settings)
    axes = zip(sizes, window, strides, dilation, strict=True)
    found = [window_output(*axis, config.get("padding", "valid")) for axis in axes]
    return _sequence(config, inputs[0][0], joined(config, found, int(config["filters"])))


def _of_images_weights(rank: int, config: Config, inputs: Inputs) -> dict[str, Shape]:
    _, channels = parted(config, inputs[0][1:], rank)
    window, filters = per_axis(config["kernel_size"], rank), int(config["filters"])
    weights: dict[str, Shape] = {
        "cell/kernel": (*window, channels, 4 * filters),
        "cell/recurrent_kernel": (*window, filters, 4 * filters),
    }
    return weights | ({"cell/bias": (4 * filters,)} if config.get("use_bias", True) else {})


CELLS = {
    "LSTMCell": ("lstm_cell", 4),
    "GRUCell": ("gru_cell", 3),
    "SimpleRNNCell": ("simple_rnn_cell", 1),
}
"""A cell's class, its name among stacked ones in a file, and its gates."""

STACKED = "StackedRNNCells"


def _cells(config: Config) -> list[tuple[str, int, Config]]:
    """Where a file has each cell of an RNN, its gates and its settings."""
    outer = config["cell"]
    stacked = outer["class_name"] == STACKED
    found, used = list[tuple[str, int, Config]](), Counter[str]()
    for cell in outer["config"]["cells"] if stacked else [outer]:
        if cell["class_name"] not in CELLS:
            raise UserError(f"it holds a {cell['class_name']}, which is not supported there.")
        name, gates = CELLS[cell["class_name"]]
        number = f"_{used[name]}" if used[name] else ""
        used[name] += 1
        found.append((f"cell/cells/{name}{number}" if stacked else "cell", gates, cell["config"]))
    return found


def _of_cells(config: Config, inputs: Inputs) -> Shape:
    *_, (_, _, last) = _cells(config)
    return _sequence(config, _steps(inputs)[0], (int(last["units"]),))


def _of_cells_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    given: Inputs = inputs
    for place, gates, cell in _cells(config):
        for role, shape in _cell(gates, cell, given).items():
            found[role.replace("cell", place)] = shape
        given = [(inputs[0][0], int(cell["units"]))]
    return found


def _both_ways(config: Config, inputs: Inputs) -> Shape:
    rule, inner = held(RECURRENT, config["layer"])
    *before, last = rule.shape(inner, inputs)
    return (*before, 2 * (last or 0)) if config.get("merge_mode") == "concat" else (*before, last)


def _both_ways_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    rule, inner = held(RECURRENT, config["layer"])
    ways = ("forward_layer", "backward_layer")
    found = rule.weights(inner, inputs)
    return {f"{way}/{role}": shape for way in ways for role, shape in found.items()}


_STATELESS = {"return_state": (False,), "stateful": (False,)}

RECURRENT: dict[str, LayerRule] = {
    kind: LayerRule(
        _recurrent,
        partial(_cell, gates),
        partial(_cell_cost, gates),
        _STATELESS,
        supported=("units", "return_sequences", "go_backwards", "activation", "use_bias"),
    )
    for kind, gates in (("LSTM", 4), ("GRU", 3), ("SimpleRNN", 1))
}
RECURRENT |= {
    "RNN": LayerRule(
        _of_cells,
        _of_cells_weights,
        allowed=_STATELESS,
        supported=("cell", "return_sequences", "go_backwards"),
    ),
}
RECURRENT |= {
    f"ConvLSTM{rank}D": LayerRule(
        partial(_of_images, rank),
        partial(_of_images_weights, rank),
        allowed={**_STATELESS, **FORMATS},
        supported=("filters", "kernel_size", "strides", "padding", "return_sequences"),
    )
    for rank in (1, 2, 3)
}

BOTH_WAYS = LayerRule(
    _both_ways,
    _both_ways_weights,
    allowed={"merge_mode": ("concat", "sum", "mul", "ave")},
    supported=("layer", "backward_layer"),
)
"""The rule of `Bidirectional`."""
