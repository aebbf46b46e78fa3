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

_PIXELS = (
    *(struct.pack("<d", value) for value in (255.0, 127.5, 128.0, 1 / 255, 1 / 127.5)),
    *(kind + struct.pack("<i", value) for value in (255, 128) for kind in (b"i", b"\xe9")),
)
"""Numbers by which pixels are divided, as Python keeps them in code: a double, or a small int."""


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
    if any(number in raw for number in _PIXELS):
        return "Rescaling(1 / 255), or whichever scale and offset it has"
    return next((layer for names, layer in _NAMES if words & {*names}), "")


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
