"""Descriptions of Keras 1 in the words of Keras 2, which all later versions understand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conversion.core.errors import UserError
from conversion.readers.notation import MODELS

CLASSES = {
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
}
"""Classes to what Keras 2 called them."""

STORED_OTHERWISE = (
    *("Convolution1D", "AtrousConvolution1D", "Convolution3D", "Deconvolution2D"),
    *("LSTM", "GRU", "SimpleRNN", "Bidirectional"),
)
"""Classes whose weights have other shapes than in Keras 2, or are parted otherwise."""

AGAIN = "open the file with keras==2.2.4, in an environment of its own, and save it again"

MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
    "cos": "Dot",
}
"""The mode of a Merge to the layer of Keras 2."""

SETTINGS = {
    "output_dim": "units",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides",
    "atrous_rate": "dilation_rate",
    "dim_ordering": "data_format",
    "pool_length": "pool_size",
    "stride": "strides",
    "length": "size",
    "bias": "use_bias",
    "p": "rate",
    "sigma": "stddev",
    "input_dtype": "dtype",
}
"""Settings to what Keras 2 called them."""

TRAINED = ("init", "weights", "input_dim", "input_length")
"""Settings that nothing reads once there are weights and an input shape."""

ROLES = {
    "W": "kernel",
    "b": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
    "alphas": "alpha",
    "depthwise_kernel": "depthwise_kernel",
    "pointwise_kernel": "pointwise_kernel",
}
"""How the name of a weight ends behind the layer's, to its role; its ``std`` is a variance."""


def is_keras_1(version: str) -> bool:
    """Whether a file is of Keras 1."""
    return version.startswith("1.")


def in_words_of_keras_2(config: Any) -> None:
    """Change a description of Keras 1, in place.

    Args:
        config: the parsed description of a model.

    Raises:
        UserError: it has channels first, of which Theano turned the kernels, or a layer whose
            weights or arithmetic Keras 2 does not have.
    """
    for layer in list(_layers(config)):
        kind, name = layer["class_name"], str(layer["config"].get("name"))
        settings = {
            SETTINGS.get(key, key): value
            for key, value in layer["config"].items()
            if key not in TRAINED and not key.endswith(("_regularizer", "_constraint"))
        }
        if kind in STORED_OTHERWISE:
            raise UserError(
                f"Layer '{name}' is a {kind}, whose weights Keras 1 stored otherwise: {AGAIN}."
            )
        if kind == "Merge":
            kind, settings = _merge(name, settings)
        if kind == "BatchNormalization":
            if settings.pop("mode", 0) == 1:
                raise UserError(f"Layer '{name}' normalizes each sample (mode=1): Keras 2 cannot.")
            settings |= {"center": True, "scale": True}
        window = [settings.pop(key) for key in ("nb_row", "nb_col") if key in settings]
        if window:
            settings["kernel_size"] = window
        order = settings.get("data_format")
        if order == "th":
            raise UserError(
                f"Layer '{name}' has Theano's order (dim_ordering='th'), in which kernels are "
                f"turned: {AGAIN}."
            )
        if order is not None:
            settings["data_format"] = "channels_last"
        layer |= {"class_name": CLASSES.get(kind, kind), "config": settings}


def role_of_keras_1(weight: str) -> str:
    """The role of a weight by its name in Keras 1, ``dense_1_W``; empty for any other.

    Args:
        weight: the name; later versions put the layer's before a slash.
    """
    ends = (end for end in ROLES if weight.endswith(f"_{end}"))
    return next((ROLES[end] for end in ends), "")


def _merge(name: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Class and settings of what Keras 2 has in place of a Merge."""
    mode = settings.get("mode")
    if settings.get("mode_type", "raw") != "raw" or mode not in MERGES:
        raise UserError(
            f"Layer '{name}' is a Merge with code in it, and files with code are refused."
        )
    if settings.get("layers"):
        raise UserError(f"Layer '{name}' is a Merge that holds models: {AGAIN}.")
    kept: dict[str, Any] = {"name": name}
    if mode == "concat":
        kept["axis"] = settings.get("concat_axis", -1)
    elif mode in ("dot", "cos"):
        kept |= {"axes": settings.get("dot_axes", -1), "normalize": mode == "cos"}
    return MERGES[mode], kept


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """The layers of a model, of the models in it, and those that other layers hold."""
    pending = [config]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            inner = part.get("config")
            if part.get("class_name") not in MODELS and isinstance(inner, dict):
                yield part
            pending += part.values()
