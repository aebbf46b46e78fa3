"""Layers whose truth is Keras's own arithmetic in float64: what the reader must know of them.

A class is one entry here and nothing elsewhere: its output's shape and its weights in the order in
which Keras stores them. There is no direct route to PyTorch for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import ceil, log2

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape
from conversion.readers import schema_attention, schema_einsum
from conversion.readers.held_layers import held
from conversion.readers.schema_recurrent import BOTH_WAYS, RECURRENT
from conversion.readers.schema_windows import window_output
from conversion.readers.spatial_axes import FORMATS, is_first, joined, parted

Rules = Mapping[str, LayerRule]
"""Class to rule, of what may stand inside another layer."""


def _distributed(rules: Rules, config: Config, inputs: Inputs) -> Shape:
    rule, inner = held(rules, config["layer"])
    return (inputs[0][0], *rule.shape(inner, [inputs[0][1:]]))


def _distributed_weights(rules: Rules, config: Config, inputs: Inputs) -> dict[str, Shape]:
    rule, inner = held(rules, config["layer"])
    found = rule.weights(inner, [inputs[0][1:]])
    return {f"layer/{role}": shape for role, shape in found.items()}


def _in_a_row(rules: Rules, config: Config, inputs: Inputs) -> Shape:
    shape = inputs[0]
    for each in config["layers"]:
        rule, inner = held(rules, each)
        if rule.weights(inner, [shape]):
            raise UserError(
                f"it holds a {each['class_name']}, which has weights: put that one into the model "
                "beside it."
            )
        shape = rule.shape(inner, [shape])
    return shape


def _cropped(config: Config, inputs: Inputs) -> Shape:
    sizes, channels = parted(config, inputs[0], 2)
    wanted = [int(config["height"]), int(config["width"])]
    if any(size is None or size < least for size, least in zip(sizes, wanted, strict=True)):
        raise UserError(
            f"it should crop {tuple(sizes)} to {tuple(wanted)}: Keras resizes smaller images, in "
            "float32; put a Resizing layer there."
        )
    return joined(config, wanted, channels)


def _spectrum(config: Config, inputs: Inputs) -> Shape:
    (steps,), channels = parted(config, inputs[0], 1)
    window = int(config["frame_length"])
    stride = int(config.get("frame_step") or window // 2)
    frames = window_output(steps, window, stride, 1, config.get("padding", "valid"))
    wide = _bins(config) * (2 if config.get("mode") == "stft" else 1)
    if config.get("expand_dims"):
        return (channels, frames, wide) if is_first(config) else (frames, wide, channels)
    return joined(config, [frames], channels * wide)


def _bins(config: Config) -> int:
    window = int(config["frame_length"])
    return int(config.get("fft_length") or 2 ** ceil(log2(window))) // 2 + 1


def _spectrum_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    without = {"real": "imag", "imag": "real"}.get(config.get("mode", "log"))
    shape = (int(config["frame_length"]), 1, _bins(config))
    return {f"{part}_kernel": shape for part in ("real", "imag") if part != without}


OVER_TIME = (*RECURRENT, "Bidirectional", "TimeDistributed")
"""Layers that go through a sequence step by step."""


def by_keras(others: Rules) -> dict[str, LayerRule]:
    """The rules of these layers by Keras class name.

    Args:
        others: rules of the layers that have a truth of their own, which may stand in these.
    """
    found: dict[str, LayerRule] = {
        **RECURRENT,
        **schema_attention.LAYERS,
        **schema_einsum.LAYERS,
        "Bidirectional": BOTH_WAYS,
        "CenterCrop": LayerRule(_cropped, allowed=FORMATS, supported=("height", "width")),
        "AutoContrast": LayerRule(
            allowed={"data_format": ("channels_last", None)}, supported=("value_range",)
        ),
        "STFTSpectrogram": LayerRule(
            _spectrum,
            _spectrum_weights,
            allowed=FORMATS,
            supported=("mode", "frame_length", "frame_step", "fft_length", "padding"),
        ),
    }
    # TensorFlow pools along three axes in float32 alone.
    inner = {k: rule for k, rule in {**others, **found}.items() if not k.endswith("Pooling3D")}
    found["TimeDistributed"] = LayerRule(
        partial(_distributed, inner), partial(_distributed_weights, inner), supported=("layer",)
    )
    found["Pipeline"] = LayerRule(partial(_in_a_row, inner), supported=("layers",))
    return found
