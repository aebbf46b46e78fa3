"""The file in docs/custom.md, and models with the layer in it."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "custom.md"


def file_of_the_guide():
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return max(blocks, key=len)


def changed(*changes):
    """The guide's file with parts exchanged; each of them must be there."""
    text = file_of_the_guide()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def model(name="gated", registered="mine>Gated"):
    """The configuration of a small model with the layer."""
    layers = [
        _layer("InputLayer", "image", batch_shape=[None, 6, 6, 3]),
        _layer("Conv2D", "conv", filters=4, kernel_size=[3, 3]),
        {
            "module": None,
            "class_name": "Gated",
            "config": {"name": name, "steepness": 2.0},
            "registered_name": registered,
        },
        _layer("GlobalAveragePooling2D", "pool"),
        _layer("Dense", "head", units=3),
    ]
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "m", "layers": layers},
    }


def _layer(kind, name, **settings):
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **settings}}
