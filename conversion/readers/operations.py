"""Functions of `keras.ops` in a functional model, each as the layer that computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from conversion.core.errors import UserError
from conversion.core.layer_rule import Shape

ACTIVATIONS = {
    "Exp": "exponential",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "LogSigmoid": "log_sigmoid",
    "Selu": "selu",
}
"""Operations of one tensor without settings that are activations of another name."""

REDUCED = {
    "Max": "GlobalMaxPooling",
    "Mean": "GlobalAveragePooling",
    "Amax": "GlobalMaxPooling",
    "Average": "GlobalAveragePooling",
}
OVER_AXES = (*REDUCED, "Min", "Sum", "Prod", "Std", "Var", "Any", "All", "Argmax", "Argmin", "Norm")
"""Operations that compute over the axes that they are given, or over all."""

Layer = tuple[str, dict[str, Any]]


def with_settings(entry: Mapping[str, Any], name: str, tensors: int) -> Layer | None:
    """The layer that computes what an operation does by its settings; None where no layer does.

    Args:
        entry: as the description of the model has it.
        name: the operation's.
        tensors: how many it reads.

    Raises:
        UserError: it computes over the batch.
    """
    kind, config = entry["class_name"], dict(entry["config"])
    _refuse_over_batch(kind, name, config)
    found = None
    if kind == "Concatenate" and config.get("axis") != 0:
        found = kind, {"axis": config["axis"]}
    elif tensors == 1 and kind in ACTIVATIONS:
        found = "Activation", {"activation": ACTIVATIONS[kind]}
    elif tensors == 1 and kind in OF_ONE:
        found = OF_ONE[kind](config, _first_shape(entry))
    return found and (found[0], {"name": name, **found[1]})


def _refuse_over_batch(kind: str, name: str, config: Mapping[str, Any]) -> None:
    """Refuse what makes the answer to an image depend on the others that it is given with.

    Raises:
        UserError: the operation computes over the batch.
    """
    if kind in OVER_AXES and any(each is None or each == 0 for each in _axes(config)):
        raise UserError(
            f"Layer '{name}' is the operation keras.ops {kind} over all images of a batch "
            f"(axis={config.get('axis')}), so that the answer to one depends on the others: give "
            "it the axes of an image, such as axis=(1, 2, 3), and save again."
        )


def _axes(config: Mapping[str, Any]) -> list[int | None]:
    axis = config.get("axis")
    return list(axis) if isinstance(axis, list | tuple) else [axis]


def _first_shape(entry: Mapping[str, Any]) -> Shape:
    """The shape of the first tensor that an operation reads, without the batch."""
    pending = [entry["inbound_nodes"][0]["args"]]
    while pending:
        value = pending.pop(0)
        if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
            return tuple(value["config"]["shape"][1:])
        if isinstance(value, list):
            pending = [*value, *pending]
    return ()


def _reshaped(config: dict[str, Any], shape: Shape) -> Layer | None:
    """Reshape, where its first size can only be the batch."""
    batch, *target = config["newshape"]
    if batch not in (-1, None) or None in shape or any(size in (-1, None) for size in target):
        return None
    return ("Reshape", {"target_shape": target}) if prod(target) == prod(_known(shape)) else None


def _transposed(config: dict[str, Any], shape: Shape) -> Layer | None:
    axes = config.get("axes")
    return ("Permute", {"dims": axes[1:]}) if axes and axes[0] == 0 else None


def _expanded(config: dict[str, Any], shape: Shape) -> Layer | None:
    axis, rank = config["axis"], len(shape) + 2
    if not isinstance(axis, int) or axis % rank == 0 or None in shape:
        return None
    at = axis % rank - 1
    return "Reshape", {"target_shape": [*shape[:at], 1, *shape[at:]]}


def _squeezed(config: dict[str, Any], shape: Shape) -> Layer | None:
    axis, rank = config["axis"], len(shape) + 1
    if not isinstance(axis, int) or axis % rank == 0 or None in shape:
        return None
    at = axis % rank - 1
    return "Reshape", {"target_shape": [*shape[:at], *shape[at + 1 :]]}


def _clipped(config: dict[str, Any], shape: Shape) -> Layer | None:
    low, high = config["x_min"], config["x_max"]
    return (
        ("ReLU", {"max_value": high})
        if low == 0 and isinstance(high, int | float) and high > 0
        else None
    )


def _pooled(kind: str, config: dict[str, Any], shape: Shape) -> Layer | None:
    """A reduction over all axes between the batch and the channels."""
    rank = len(shape) + 1
    axes = sorted(each % rank for each in _axes(config) if each is not None)
    if config.get("initial") is not None or rank not in (3, 4, 5) or axes != [*range(1, rank - 1)]:
        return None
    settings = {"keepdims": bool(config.get("keepdims")), "data_format": "channels_last"}
    return f"{REDUCED[kind]}{rank - 2}D", settings


def _pooling(kind: str) -> Callable[[dict[str, Any], Shape], Layer | None]:
    return lambda config, shape: _pooled(kind, config, shape)


OF_ONE: Mapping[str, Callable[[dict[str, Any], Shape], Layer | None]] = {
    "Clip": _clipped,
    "Elu": lambda config, shape: ("ELU", {"alpha": config.get("alpha", 1.0)}),
    "ExpandDims": _expanded,
    "LeakyRelu": lambda config, shape: (
        "LeakyReLU",
        {"negative_slope": config.get("negative_slope", 0.2)},
    ),
    "Reshape": _reshaped,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    **{kind: _pooling(kind) for kind in REDUCED},
}
"""Operation of one tensor to what makes a layer of its settings and the tensor's shape."""


def _known(shape: Shape) -> list[int]:
    return [size for size in shape if size is not None]
