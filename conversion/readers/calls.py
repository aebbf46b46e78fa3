"""One call of a layer as Keras 2 and Keras 3 write it: what it reads, and what else it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conversion.core.errors import UserError
from conversion.readers.notation import is_reference, references
from conversion.readers.operations import with_settings
from conversion.readers.schema import BY_KERAS

ELEMENTWISE = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
"""Operations of two tensors that are layers of the same name."""

ACTIVATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
"""Operations of one tensor and no settings that are activations."""

ROLES = ("query", "value", "key")
"""Tensors that attention is called with, in its own order."""

TRAINED_BY_DEFAULT = (
    *("AugMix", "AutoContrast", "CenterCrop", "CutMix", "MaxNumBoundingBoxes"),
    *("MixUp", "Pipeline", "Resizing", "Solarization"),
)
"""Layers whose calls say training=True where the model says nothing; those named Rand... too."""


@dataclass(frozen=True)
class Call:
    """What a call is given.

    Attributes:
        sources: what it reads: names, or layer, call and tensor where those are not known yet.
        constants: plain values among the tensors, with their position.
    """

    sources: tuple[Any, ...]
    constants: tuple[tuple[int, Any], ...] = ()


def sources_of(name: str, kind: str, call: Any, first: Mapping[str, tuple[int, int]]) -> Call:
    """What one call reads, in either Keras's notation.

    Args:
        name: the layer that is called.
        kind: its class.
        call: one of its ``inbound_nodes``.
        first: numbers of the first calls of nested models.

    Raises:
        UserError: an argument is given that would change what the layer computes.
    """
    constants: list[tuple[int, Any]] = []
    if isinstance(call, Mapping):  # Keras 3: {"args": [...], "kwargs": {...}}
        args = list(call["args"])
        kwargs = dict(call["kwargs"])
        if not args and "inputs" in kwargs:
            args = [kwargs.pop("inputs")]
        if kind in TRAINED_BY_DEFAULT or kind.startswith("Rand"):
            # Their own default, which Keras writes; predict and training=False go before it.
            kwargs.pop("training", None)
        if kind in BY_KERAS:  # the call is made again as it is written, in Keras's order
            named = sorted(kwargs, key=lambda key: (ROLES.index(key) if key in ROLES else -1, key))
            args += [kwargs.pop(key) for key in named if any(references(kwargs[key]))]
            kwargs.pop("use_causal_mask", None)
        _refuse_arguments(name, kwargs)
        read = []
        for position, value in enumerate(args):
            if any(True for _ in references(value)):
                _refuse_constants_within(name, value)
                read += list(references(value))
            elif position == 0 or value not in (None, False):
                constants.append((position, value))
    else:  # Keras 2: [[layer, call, tensor, kwargs], ...]
        read = [call] if is_reference(call) else call
        for item in read:
            if not is_reference(item):
                shown = str(item)[:60]
                raise UserError(
                    f"Layer '{name}' is called with a constant ({shown}): not supported."
                )
            _refuse_arguments(name, item[3] if len(item) > 3 else {})
    sources = [
        (source, number - first.get(source, (0, 0))[0], tensor)
        for source, number, tensor, *_ in read
    ]
    return Call(tuple(sources), tuple(constants))


def _refuse_constants_within(name: str, value: Any) -> None:
    """Refuse a list of tensors with something else in it."""
    if isinstance(value, list):
        for item in value:
            _refuse_constants_within(name, item)
    elif not (isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"):
        raise UserError(
            f"Layer '{name}' is called with a constant ({str(value)[:60]}): not supported."
        )


def _refuse_arguments(name: str, kwargs: Mapping[str, Any]) -> None:
    given = {key: value for key, value in kwargs.items() if value not in (None, False)}
    if given:
        shown = str(given)[:60]
        raise UserError(f"Layer '{name}' is called with {shown}, which is not supported.")


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is a function of `keras.ops` such as ``x + y``, which is no layer."""
    module = entry.get("module") or ""
    return module.startswith(("keras.src.ops", "keras.ops"))


def operation_as_layer(
    entry: Mapping[str, Any], name: str, call: Call
) -> tuple[str, Mapping[str, Any]]:
    """The layer that computes what an operation does: its class and settings.

    Raises:
        UserError: no layer does.
    """
    kind, tensors = entry["class_name"], len(call.sources)
    numbers = [(at, value) for at, value in call.constants if _is_number(value)]
    if kind in ELEMENTWISE and tensors == 2 and not call.constants:
        return kind, {"name": name}
    if kind in ACTIVATIONS and tensors == 1 and not call.constants:
        return "Activation", {"name": name, "activation": ACTIVATIONS[kind]}
    if tensors == 1 and len(numbers) == len(call.constants) == 1:
        at, value = numbers[0]
        affine = _affine(kind, value, at == 0)
        if affine is not None:
            return "Rescaling", {"name": name, "scale": affine[0], "offset": affine[1]}
    found = None if call.constants else with_settings(entry, name, tensors)
    if found is not None:
        return found
    shown = f" with {call.constants[0][1]!r}"[:60] if call.constants else ""
    raise UserError(
        f"Layer '{name}' is the operation keras.ops {kind}{shown}, which is not supported: write "
        "it with a layer (Rescaling, Add, Multiply, Activation, Reshape, ...) and save again."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _affine(kind: str, value: float, first: bool) -> tuple[float, float] | None:
    """Scale and offset of an operation of a tensor and a number, the number being first or not."""
    if kind == "Add":
        return 1.0, float(value)
    if kind == "Multiply":
        return float(value), 0.0
    if kind == "Subtract":
        return (-1.0, float(value)) if first else (1.0, -float(value))
    if kind in ("Divide", "TrueDivide") and not first and value:
        return 1.0 / value, 0.0
    return None
