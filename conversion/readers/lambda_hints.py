"""Which standard layer does what a refused piece of code probably does, told by names alone.

Nothing is decoded or executed: the code is searched, as bytes, for the names of functions and for
the numbers that such layers mostly are about.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping
from typing import Any

_NAMES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("resize", "resize_images", "resize_bilinear"), "Resizing or UpSampling2D"),
    (("preprocess_input", "truediv", "true_divide", "rescale", "normalize_image"), "Rescaling"),
    (("reduce_mean", "mean"), "GlobalAveragePooling2D or GlobalAveragePooling1D"),
    (("reduce_max", "amax"), "GlobalMaxPooling2D or GlobalMaxPooling1D"),
    (("l2_normalize",), "UnitNormalization"),
    (("permute_dimensions", "transpose", "moveaxis"), "Permute"),
    (("expand_dims", "squeeze", "reshape"), "Reshape"),
    (("batch_flatten", "flatten"), "Flatten"),
    (("repeat",), "RepeatVector"),
    (("concatenate", "concat"), "Concatenate"),
    (("zero_padding", "spatial_2d_padding", "pad"), "ZeroPadding2D"),
    (("crop_to_bounding_box", "central_crop"), "Cropping2D"),
    (("relu6",), "ReLU(max_value=6)"),
    (("leaky_relu",), "LeakyReLU"),
    (("relu",), "ReLU"),
    (("softmax",), "Softmax"),
    (("hard_swish", "hard_sigmoid"), "Activation('hard_silu') or Activation('hard_sigmoid')"),
    (("swish", "silu"), "Activation('silu')"),
    (("sigmoid", "tanh", "gelu", "elu", "selu", "softplus", "mish", "exp"), "Activation"),
    (("multiply",), "Multiply or Rescaling"),
    (("subtract",), "Subtract or Rescaling"),
    (("maximum",), "Maximum"),
    (("minimum",), "Minimum"),
    (("add", "add_n"), "Add or Rescaling"),
)
"""Names of functions to the layer that does the same, the more telling first."""

_PIXELS = (255.0, 127.5, 128.0)
"""Numbers by which pixels are divided."""

_NUMBERS = {b"g": "<d", b"\xe7": "<d", b"i": "<i", b"\xe9": "<i"}
"""Mark of a number in Python's code, and how it is packed."""


def hint(kind: str, settings: Any) -> str:
    """The standard layer that does the same; empty where nothing tells.

    Args:
        kind: the refused class.
        settings: its configuration.
    """
    words, raw = _searched(settings)
    for names, layer in _NAMES[:2]:
        if words & {*names}:
            return layer
    if scaled := _rescaling(_numbers(raw)):
        return scaled
    return next((layer for names, layer in _NAMES if words & {*names}), "")


def _numbers(raw: bytes) -> list[float]:
    """The numbers that code holds, in their order, but those that nobody writes by hand."""
    found: list[float] = []
    for at in range(len(raw)):
        form = _NUMBERS.get(raw[at : at + 1])
        size = struct.calcsize(form) if form else 0
        if form and at + 1 + size <= len(raw):
            (value,) = struct.unpack_from(form, raw, at + 1)
            plain = value == 0 or 1e-4 < abs(value) < 1e4
            if plain and (form == "<d" or value in _PIXELS or value in (0, 1, 2)):
                found.append(float(value))
    return found


def _rescaling(numbers: list[float]) -> str:
    """The Rescaling by one of the numbers; empty where none is the range of pixels."""
    for number in numbers:
        if number in _PIXELS:
            scale = f"1/{number:g}"
        elif number in [1 / pixel for pixel in _PIXELS]:
            scale = f"1/{1 / number:g}"
        else:
            continue
        rest = [each for each in numbers if each in (1.0, 0.5)]
        return f"Rescaling(scale={scale}{f',offset=-{rest[0]:g}' if rest else ''})"
    return ""


def _searched(settings: Any) -> tuple[set[str], bytes]:
    """Every word in the settings and in code within them, and that code."""
    raw = b"".join(_code(settings))
    text = json.dumps(settings, default=str)[:100_000] + " " + raw.decode("latin-1")
    words = {"".join(c if c.isalnum() or c == "_" else " " for c in text.lower())}
    return {word for line in words for word in line.split()}, raw


def _code(value: Any) -> list[bytes]:
    """Whatever in the settings may be code: long text in base64."""
    found: list[bytes] = []
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            pending += part.values()
        elif isinstance(part, list):
            pending += part
        elif isinstance(part, str) and len(part) >= 40:
            try:
                found.append(base64.b64decode(part))
            except (binascii.Error, ValueError):
                continue
    return found
