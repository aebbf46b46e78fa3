"""Layers of attention, as the reader sees them."""

from __future__ import annotations

from functools import partial

from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape


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


def _groups_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    query, value, key = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else inputs[1]
    size = int(config["head_dim"])
    heads, groups = int(config["num_query_heads"]), int(config["num_key_value_heads"])
    parts: dict[str, tuple[Shape, Shape]] = {
        "query": ((query[-1], heads, size), (heads, size)),
        "key": ((key[-1], groups, size), (groups, size)),
        "value": ((value[-1], groups, size), (groups, size)),
        "output": ((heads, size, query[-1]), (query[-1],)),
    }
    biased = config.get("use_bias", True)
    return {
        f"_{part}_dense/{role}": shape
        for part, shapes in parts.items()
        for role, shape in zip(("kernel", "bias") if biased else ("kernel",), shapes, strict=False)
    }


def _attended(config: Config, inputs: Inputs) -> Shape:
    return (*inputs[0][:-1], inputs[1][-1])


def _attention_scale(additive: bool, config: Config, inputs: Inputs) -> dict[str, Shape]:
    if not config.get("use_scale", additive):
        return {}
    return {"scale": (inputs[0][-1],) if additive else ()}


LAYERS: dict[str, LayerRule] = {
    "MultiHeadAttention": LayerRule(
        _heads,
        _heads_weights,
        allowed={"use_gate": (False,), "sliding_window": (None,)},
        supported=("num_heads", "key_dim", "value_dim", "use_bias", "output_shape"),
    ),
    "GroupQueryAttention": LayerRule(
        weights=_groups_weights,
        allowed={"use_gate": (False,), "sliding_window": (None,)},
        supported=("num_query_heads", "num_key_value_heads", "head_dim", "use_bias"),
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
}
"""Layer class to its rule."""
