"""Layers whose truth is Keras's own arithmetic in float64: what the reader must know of them.

A class is one entry here and nothing elsewhere: its output's shape and its weights in the order in
which Keras stores them. There is no direct route to PyTorch for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape
from conversion.readers.schema_windows import window_output
from conversion.readers.spatial_axes import FORMATS, joined, parted, per_axis

Rules = Mapping[str, LayerRule]
"""Class to rule, of what may stand inside another layer."""


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


def _inside(rules: Callable[[], Rules], config: Config, key: str) -> tuple[LayerRule, Config]:
    """Rule and settings of the layer that another one holds."""
    inner = config[key]
    rule = rules().get(inner["class_name"])
    if rule is None:
        raise UserError(f"it holds a {inner['class_name']}, which is not supported there.")
    for setting, values in rule.allowed.items():
        if setting != "activation" and inner["config"].get(setting, values[0]) not in values:
            raise UserError(f"it holds a layer with {setting}={inner['config'][setting]!r}.")
    return rule, inner["config"]


def _both_ways(config: Config, inputs: Inputs) -> Shape:
    rule, inner = _inside(lambda: RECURRENT, config, "layer")
    *before, last = rule.shape(inner, inputs)
    return (*before, 2 * (last or 0)) if config.get("merge_mode") == "concat" else (*before, last)


def _both_ways_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    rule, inner = _inside(lambda: RECURRENT, config, "layer")
    ways = ("forward_layer", "backward_layer")
    found = rule.weights(inner, inputs)
    return {f"{way}/{role}": shape for way in ways for role, shape in found.items()}


def _distributed(rules: Callable[[], Rules], config: Config, inputs: Inputs) -> Shape:
    rule, inner = _inside(rules, config, "layer")
    return (inputs[0][0], *rule.shape(inner, [inputs[0][1:]]))


def _distributed_weights(
    rules: Callable[[], Rules], config: Config, inputs: Inputs
) -> dict[str, Shape]:
    rule, inner = _inside(rules, config, "layer")
    found = rule.weights(inner, [inputs[0][1:]])
    return {f"layer/{role}": shape for role, shape in found.items()}


def _heads(config: Config, inputs: Inputs) -> Shape:
    stated = config.get("output_shape")
    if stated is None:
        return inputs[0]
    return (*inputs[0][:-1], *(stated if isinstance(stated, list | tuple) else [stated]))


def _heads_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    query, value, key = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else inputs[1]
    heads, size = int(config["num_heads"]), int(config["key_dim"])
    wide = int(config.get("value_dim") or size)
    parts: dict[str, tuple[Shape, Shape]] = {
        "query_dense": ((query[-1], heads, size), (heads, size)),
        "key_dense": ((key[-1], heads, size), (heads, size)),
        "value_dense": ((value[-1], heads, wide), (heads, wide)),
        "output_dense": (
            (heads, wide, *_heads(config, inputs)[len(query) - 1 :]),
            _heads(config, inputs)[len(query) - 1 :],
        ),
    }
    found: dict[str, Shape] = {}
    for part, (kernel, bias) in parts.items():
        found[f"{part}/kernel"] = kernel
        if config.get("use_bias", True):
            found[f"{part}/bias"] = bias
    return found


def _attended(config: Config, inputs: Inputs) -> Shape:
    return (*inputs[0][:-1], inputs[1][-1])


def _attention_scale(additive: bool, config: Config, inputs: Inputs) -> dict[str, Shape]:
    if not config.get("use_scale", additive):
        return {}
    return {"scale": (inputs[0][-1],) if additive else ()}


def _adaptive(rank: int, config: Config, inputs: Inputs) -> Shape:
    _, channels = parted(config, inputs[0], rank)
    return joined(config, per_axis(config["output_size"], rank), channels)


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
    f"ConvLSTM{rank}D": LayerRule(
        partial(_of_images, rank),
        partial(_of_images_weights, rank),
        allowed={**_STATELESS, **FORMATS},
        supported=("filters", "kernel_size", "strides", "padding", "return_sequences"),
    )
    for rank in (1, 2, 3)
}


OVER_TIME = (*RECURRENT, "Bidirectional", "TimeDistributed")
"""Layers that go through a sequence step by step."""


def by_keras(others: Rules) -> dict[str, LayerRule]:
    """The rules of these layers by Keras class name.

    Args:
        others: rules of the layers that have a truth of their own, which may stand in these.
    """
    found: dict[str, LayerRule] = {
        **RECURRENT,
        "Bidirectional": LayerRule(
            _both_ways,
            _both_ways_weights,
            allowed={"merge_mode": ("concat", "sum", "mul", "ave")},
            supported=("layer", "backward_layer"),
        ),
        "MultiHeadAttention": LayerRule(
            _heads,
            _heads_weights,
            allowed={"use_gate": (False,), "sliding_window": (None,)},
            supported=("num_heads", "key_dim", "value_dim", "use_bias", "output_shape"),
        ),
        "Attention": LayerRule(
            _attended,
            partial(_attention_scale, False),
            allowed={"score_mode": ("dot",)},
            supported=("use_scale",),
        ),
        "AdditiveAttention": LayerRule(
            _attended, partial(_attention_scale, True), supported=("use_scale",)
        ),
        **{
            f"Adaptive{way}Pooling{rank}D": LayerRule(
                partial(_adaptive, rank), allowed=FORMATS, supported=("output_size",)
            )
            for way in ("Average", "Max")
            for rank in (1, 2, 3)
        },
    }
    inner = partial(dict[str, LayerRule], {**others, **found})
    found["TimeDistributed"] = LayerRule(
        partial(_distributed, inner), partial(_distributed_weights, inner), supported=("layer",)
    )
    return found
