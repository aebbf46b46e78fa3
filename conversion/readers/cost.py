"""What a spec costs to compute."""

from __future__ import annotations

from conversion.core.layer_rule import LayerRule
from conversion.core.spec import Layer, Spec
from conversion.readers.schema import rules_with


def multiply_accumulates(spec: Spec) -> dict[str, int]:
    """Multiply-accumulates of one image by layer; layers that have none are left out.

    Args:
        spec: the model; a size that it leaves open counts as 1.
    """
    rules = rules_with(spec.custom)
    costs = {layer.name: _cost(spec, layer, rules[layer.kind]) for layer in spec.layers}
    return {name: cost for name, cost in costs.items() if cost}


def _cost(spec: Spec, layer: Layer, rule: LayerRule) -> int:
    inputs = [spec.layer(name).shape for name in layer.inputs]
    return rule.cost(layer.config, inputs, layer.shape)
