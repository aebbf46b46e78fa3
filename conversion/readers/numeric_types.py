"""Types other than float32 that a file states: what is judged in float32 all the same, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from conversion.core.errors import UserError
from conversion.core.spec import Layer

FLOAT32 = "float32"

OTHER_FLOATS = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")
"""Policies that compute in another type by the same formulas."""

WHOLE = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")
"""Types of inputs; float32 has every whole number up to 16,777,216."""

AS_FLOATS = ("Rescaling", "Normalization", "Dense")
"""Layers that bring whole numbers to float32 before they compute."""

AS_THEY_ARE = (
    *("Reshape", "Flatten", "Permute", "RepeatVector", "Identity", "Dropout", "Concatenate"),
    *(f"{what}{rank}D" for what in ("ZeroPadding", "Cropping") for rank in (1, 2, 3)),
)
"""Layers that hand numbers on."""


def type_of(config: Mapping[str, Any]) -> str:
    """The name of the type or policy in a layer's settings."""
    stated = config.get("dtype") or FLOAT32
    name = stated["config"].get("name") if isinstance(stated, Mapping) else stated
    return str(name or FLOAT32)


def refuse_type(layer: str, kind: str, config: Mapping[str, Any]) -> None:
    """Refuse a layer of a type that float32 cannot stand for.

    Args:
        layer: its name.
        kind: its class.
        config: its settings.

    Raises:
        UserError: it has one.
    """
    stated = type_of(config)
    if stated in (FLOAT32, *OTHER_FLOATS) or (kind == "InputLayer" and stated in WHOLE):
        return
    raise UserError(
        f"Layer '{layer}' ({kind}) has the type {stated}, for which float32 cannot stand: build "
        "the model without it and save it again."
    )


def refuse_arithmetic_of_whole_numbers(layers: Mapping[str, Layer]) -> None:
    """Refuse a layer that computes otherwise with whole numbers than with float32.

    Args:
        layers: name to layer, each after its inputs.

    Raises:
        UserError: an input of whole numbers reaches one.
    """
    whole: dict[str, Layer] = {}
    for layer in layers.values():
        if layer.kind == "InputLayer" and type_of(layer.config) in WHOLE:
            whole[layer.name] = layer
        given = next((whole[name] for name in layer.inputs if name in whole), None)
        if given is None or layer.kind in AS_FLOATS:
            continue
        if layer.kind not in AS_THEY_ARE:
            raise UserError(
                f"Input '{given.name}' takes {type_of(given.config)}, with which layer "
                f"'{layer.name}' ({layer.kind}) may compute otherwise than with the float32 of "
                "converted files: put a Rescaling(1.0) between them and save the model again."
            )
        whole[layer.name] = given


def words(layers: Sequence[Layer]) -> list[str]:
    """What a report says of the types of a model; nothing where all is float32.

    Args:
        layers: of the model.
    """
    found = Counter(type_of(layer.config) for layer in layers if layer.kind != "InputLayer")
    said = [
        f"{found[name]} layers compute in {name} where the model was trained, and in float32 here: "
        "converted files, the truth and Keras are compared in that"
        for name in OTHER_FLOATS
        if found[name]
    ]
    for layer in layers:
        stated = type_of(layer.config)
        if layer.kind == "InputLayer" and stated in WHOLE:
            said.append(f"input '{layer.name}' takes {stated}; converted files take float32")
    return said
