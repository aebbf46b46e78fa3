"""Layers that pool over one to three spatial axes, as the reader sees them."""

from __future__ import annotations

from functools import partial

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape
from conversion.readers.schema_windows import PADDINGS, windowed
from conversion.readers.spatial_axes import FORMATS, joined, parted, per_axis


def _pool(rank: int, config: Config, inputs: Inputs) -> Shape:
    sizes, channels = parted(config, inputs[0], rank)
    return joined(config, windowed(config, sizes, "pool_size"), channels)


def _global_pool(rank: int, config: Config, inputs: Inputs) -> Shape:
    _, channels = parted(config, inputs[0], rank)
    return joined(config, (1,) * rank, channels) if config.get("keepdims") else (channels,)


def _adaptive(rank: int, config: Config, inputs: Inputs) -> Shape:
    sizes, channels = parted(config, inputs[0], rank)
    if None in sizes:
        raise UserError(f"it pools an input of a stated size; it gets {inputs[0]}.")
    wanted = per_axis(config["output_size"], rank)
    if 1 in wanted:
        raise UserError(
            f"output_size {list(wanted)} has a 1, for which Keras 3.15 cannot compute it: use "
            "GlobalAveragePooling or GlobalMaxPooling, or AveragePooling of that axis."
        )
    return joined(config, wanted, channels)


def _rules(rank: int) -> dict[str, LayerRule]:
    padded = {**FORMATS, "padding": PADDINGS}
    pool = LayerRule(partial(_pool, rank), allowed=padded, supported=("pool_size", "strides"))
    whole = LayerRule(partial(_global_pool, rank), allowed=FORMATS, supported=("keepdims",))
    parts = LayerRule(partial(_adaptive, rank), allowed=FORMATS, supported=("output_size",))
    return {
        f"{way}{kind}Pooling{rank}D": rule
        for way, rule in (("", pool), ("Global", whole), ("Adaptive", parts))
        for kind in ("Max", "Average")
    }


LAYERS: dict[str, LayerRule] = {**_rules(1), **_rules(2), **_rules(3)}
"""The rules of these layers by Keras class name."""
