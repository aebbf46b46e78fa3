"""What a spec costs to compute."""

from __future__ import annotations

from conversion.core.spec import Layer, Spec
from conversion.readers.schema import LAYERS


def multiply_accumulates(spec: Spec) -> dict[str, int]:
    """Multiply-accumulates of one image by layer; layers that have none are left out.

    Args:
        spec: the model; a size that it leaves open counts as 1.
    """
    costs = {layer.name: _cost(spec, layer) for layer in spec.layers}
    return {name: cost for name, cost in costs.items() if cost}


def _cost(spec: Spec, layer: Layer) -> int:
    inputs = [spec.layer(name).shape for name in layer.inputs]
    return LAYERS[layer.kind].cost(layer.config, inputs, layer.shape)
