"""What versions of Keras write differently for the same model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MODELS = ("Functional", "Model", "Sequential")
"""Class names of models; one among the layers of another is nested."""

SAME_CLASS = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
}
"""Classes of older versions that compute what another one does when a model is not trained."""

Reference = list[Any]
"""Layer, number of its call, number of the tensor, and in Keras 2 perhaps arguments."""


def references(value: Any) -> Iterator[Reference]:
    """Every reference to a layer's output in call arguments or ends, in order, in any notation.

    Args:
        value: Keras 3's ``{"args": ..., "kwargs": ...}`` with ``keras_history`` in it, or Keras 2's
            ``[[layer, call, tensor, kwargs], ...]``, or the ends of a model.
    """
    if isinstance(value, Mapping):
        if "keras_history" in value:
            yield value["keras_history"]
        else:
            for each in value.values():
                yield from references(each)
    elif isinstance(value, list):
        if is_reference(value):
            yield value
        else:
            for each in value:
                yield from references(each)


def is_reference(value: Any) -> bool:
    """Whether a list is a layer, a call and a tensor."""
    if not (isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)):
        return False
    return all(isinstance(number, int) for number in value[1:3])


def first_calls(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The numbers of the first call of every nested model, among calls and among the outputs.

    A functional model begins with a node of its own. Keras 2 counts it (so the first call is 1),
    Keras 3 counts it among the outputs of a model only, and some versions in between nowhere.
    Every call in a file is read by something, which tells the countings apart.

    Args:
        config: the settings of a functional model: ``layers``, ``output_layers``.

    Returns:
        Name of a nested model to both numbers; a layer's calls are always counted from 0.
    """
    nested = {e["name"]: e for e in config["layers"] if e["class_name"] in MODELS}
    read: dict[str, set[int]] = {name: set() for name in nested}
    ends: dict[str, set[int]] = {name: set() for name in nested}
    calls = (call for entry in config["layers"] for call in entry["inbound_nodes"])
    for found, given in ((read, list(calls)), (ends, config["output_layers"])):
        for name, call, *_ in references(given):
            if name in nested:
                found[name].add(call)
    return {name: _first(entry, read[name], ends[name]) for name, entry in nested.items()}


def _first(entry: Mapping[str, Any], read: set[int], ends: set[int]) -> tuple[int, int]:
    every = set(range(len(entry["inbound_nodes"])))
    new = any(isinstance(call, Mapping) for call in entry["inbound_nodes"])
    for reading, ending in _COUNTINGS[new, entry["class_name"] == "Sequential"]:
        if {call - reading for call in read} | {call - ending for call in ends} == every:
            return reading, ending
    return 0, 0


_COUNTINGS: Mapping[tuple[bool, bool], Sequence[tuple[int, int]]] = {
    (False, False): ((1, 1), (0, 0)),
    (False, True): ((1, 1), (0, 0)),
    (True, False): ((0, 1), (1, 1), (0, 0)),
    (True, True): ((0, 0), (1, 1)),
}
"""By Keras 3's notation, and by Sequential: numbers of a first call, the likeliest first."""


def plain_number(value: Any) -> Any:
    """A number that Keras 2.2 wrote as an array of NumPy; any other value as it is."""
    if (
        isinstance(value, Mapping)
        and set(value) == {"type", "value"}
        and value["type"] == "ndarray"
    ):
        return value["value"]
    return value
