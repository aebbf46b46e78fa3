"""Recurrent layers as one graph without a loop, which LiteRT's converter can write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conversion.core.errors import UserError

RECURRENT = ("RNN", "LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")

MOST_STEPS = 500
"""Steps that are written out: 256 take TensorFlow's converter half a minute, 1,810 more than ten
minutes."""


def unrolled(model: Any) -> tuple[Any, list[str]]:
    """The model with its recurrent layers unrolled, and their names.

    Each step is written out with the same weights: nothing else is computed, and in the same
    order. A sequence of open length cannot be unrolled; then, as without such layers, the model
    is the same one and there are no names.

    Args:
        model: opened by Keras.

    Raises:
        UserError: there are more than `MOST_STEPS`.
    """
    config = model.get_config()
    names = [config_of["name"] for config_of in _recurrent(config)]
    if not names or any(None in each.shape[1:2] for each in model.inputs):
        return model, []
    steps = _steps(model)
    if steps > MOST_STEPS:
        raise UserError(
            "TensorFlow's converter writes a loop for LiteRT step by step; the recurrent layers "
            f"({names[0]} is the first) have {steps:,} steps, more than {MOST_STEPS}. ONNX has an "
            "operator for them."
        )
    for each in _recurrent(config):
        each["unroll"] = True
    copied = type(model).from_config(config)
    copied.set_weights(model.get_weights())
    return copied, names


def _steps(model: Any) -> int:
    """How many steps all recurrent layers of a model have together."""
    steps = 0
    for layer in model._flatten_layers():
        kind = type(layer).__name__
        if kind in (*RECURRENT, "Bidirectional") and layer._inbound_nodes:
            steps += int(layer.input.shape[1] or 0) * (2 if kind == "Bidirectional" else 1)
    return steps


def _recurrent(value: Any) -> Iterator[dict[str, Any]]:
    """The settings of every recurrent layer, at any depth."""
    if isinstance(value, Mapping):
        if value.get("class_name") in RECURRENT:
            yield value["config"]
        for each in value.values():
            yield from _recurrent(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _recurrent(each)
