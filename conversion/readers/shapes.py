"""Shapes of layers' outputs by the rules of their classes."""

from __future__ import annotations

from collections.abc import Mapping

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape, Spec
from conversion.readers.activations import activated
from conversion.readers.schema import rules_with


def output_shape(rule: LayerRule, config: Config, inputs: Inputs, whole: bool) -> Shape:
    """The shape that a layer gives.

    Args:
        rule: of its class.
        config: its settings.
        inputs: shapes that it reads.
        whole: as of `Layer`.

    Raises:
        UserError: it would be empty, or the rule refuses the settings.
    """
    shape = rule.shape(config, inputs)
    if not whole:
        shape = activated(config.get("activation"), shape)
    if any(size is not None and not (isinstance(size, int) and size > 0) for size in shape):
        raise UserError(f"its settings give an output of shape {shape}.")
    return shape


def shapes_of(spec: Spec, inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shape of every layer's output, where the inputs have sizes that the model leaves open.

    Args:
        spec: the model.
        inputs: input name to its shape, without the batch axis.

    Raises:
        UserError: a layer does not fit such sizes.
    """
    rules, found = rules_with(spec.custom), dict(inputs)
    for layer in spec.layers:
        if layer.name not in found:
            read = [found[name] for name in layer.inputs]
            try:
                found[layer.name] = output_shape(rules[layer.kind], layer.config, read, layer.whole)
            except UserError as error:
                raise UserError(f"Layer '{layer.name}' ({layer.kind}): {error}") from error
    return found
