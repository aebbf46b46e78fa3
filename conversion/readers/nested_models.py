"""A model's configuration as one flat list of calls: nested models inlined, shared layers repeated.

A layer inside a nested model is named ``outer/inner``. A layer that is called several times gives
one entry a call; the later ones are named ``name@2``, ``name@3``.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conversion.core.errors import NoInputShape, UserError
from conversion.readers.calls import (
    Call,
    is_operation,
    operation_as_layer,
    sources_of,
)
from conversion.readers.notation import (
    MODELS,
    SAME_CLASS,
    first_calls,
    plain_number,
    references,
)

MOST_LAYERS = 100_000
"""Nested models that call each other twice, twice, ... would have more layers than fit a memory."""


@dataclass(frozen=True)
class Entry:
    """One call of one layer.

    Attributes:
        name: unique in the flat list.
        kind: the Keras class name.
        settings: as Keras wrote them.
        sources: names of the entries that it reads.
        path: names from the outermost model to the layer object.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    sources: tuple[str, ...]
    path: tuple[str, ...]


def flat(
    config: Mapping[str, Any],
) -> tuple[list[Entry], tuple[str, ...], tuple[str, ...]]:
    """Flatten a model's configuration.

    Args:
        config: of class Functional, Model or Sequential, in the notation of Keras 2 or Keras 3.

    Returns:
        Entries in an order in which each comes after its sources (the file's own order where it
        suits), names of the inputs, names of the outputs.

    Raises:
        UserError: it is another class, or layers read each other in a circle, or two have one name.
    """
    flattening = _Flattening()
    inputs, outputs = flattening.model(config, (), None)
    stated = {entry.name for entry in flattening.entries if entry.kind == "InputLayer"}
    if set(inputs) != stated or len(set(inputs)) != len(inputs):
        raise UserError(f"Expected the inputs {sorted(stated)}; the model names {list(inputs)}.")
    if not outputs or len(set(outputs)) != len(outputs):
        raise UserError(f"Expected outputs that are different layers; got {list(outputs)}.")
    return flattening.entries, tuple(inputs), tuple(outputs)


def other_class(kind: object) -> UserError:
    """The refusal of a model of a class of its own."""
    return UserError(
        f"Expected a Functional or Sequential model; got class_name {kind!r}. "
        "Subclassed models have no layer list: rebuild yours with keras.Model(inputs, outputs)."
    )


class _Flattening:
    """The entries so far, and how often each layer has been called."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._names: set[str] = set()
        self._called: Counter[tuple[str, ...]] = Counter()

    def model(
        self, config: Mapping[str, Any], path: tuple[str, ...], given: Sequence[str] | None
    ) -> tuple[list[str], list[str]]:
        """One call of a model: the names of its inputs and outputs.

        Args:
            config: the model's, with ``class_name``.
            path: names from the outermost model to it.
            given: names of what a nested model is called with; None for the outermost one.
        """
        kind, inner = config.get("class_name"), config.get("config")
        if kind == "Sequential":
            return self._sequential(inner, path, given)
        if kind in MODELS and isinstance(inner, Mapping):
            return self._functional(inner, path, given)
        raise other_class(kind)

    def _sequential(
        self, inner: Any, path: tuple[str, ...], given: Sequence[str] | None
    ) -> tuple[list[str], list[str]]:
        listed = inner["layers"] if isinstance(inner, Mapping) else inner  # Keras 2.1 wrote a list
        where = f"the Sequential model '{'/'.join(path)}'" if path else "the Sequential model"
        if not listed:
            raise UserError(f"Expected a model with layers; {where} is empty.")
        if listed[0]["class_name"] == "InputLayer":
            first, *listed = listed
            shape, name = None, first["config"]["name"]
        else:
            first, shape, name = None, _input_shape(inner, listed[0]), "input"
        if given is not None:
            if len(given) != 1:
                raise UserError(f"Expected one input of {where}; it is called with {len(given)}.")
            inputs = list(given)
        elif first is not None:
            inputs = [self._add((*path, name), "InputLayer", first["config"], ())]
        elif shape is None:
            raise NoInputShape(
                "Expected an input shape in the Sequential model; it has none: pass --data with "
                "what it takes, or say the shape with --input-shape H,W,C."
            )
        else:
            inputs = [self._add((*path, name), "InputLayer", {"batch_shape": shape}, ())]
        values, names = inputs, Counter[str]()
        for entry in listed:
            names[entry["config"]["name"]] += 1
            values = self._call(entry, entry["config"]["name"], path, Call(tuple(values)))
            if len(values) != 1:
                raise UserError(f"Expected one output of each layer in {where}; got {len(values)}.")
        _refuse_twice(names)
        return inputs, values

    def _functional(
        self, inner: Mapping[str, Any], path: tuple[str, ...], given: Sequence[str] | None
    ) -> tuple[list[str], list[str]]:
        layers, first = inner["layers"], first_calls(inner)
        _refuse_twice(Counter(entry["name"] for entry in layers))
        ends = {key: list(references(inner[f"{key}_layers"])) for key in ("input", "output")}
        made: dict[tuple[str, int], list[str]] = {}
        if given is not None:
            if len(given) != len(ends["input"]):
                raise UserError(
                    f"Model '{'/'.join(path)}' is called with {len(given)} tensors; it has "
                    f"{len(ends['input'])} inputs."
                )
            made = {(name, 0): [g] for (name, *_), g in zip(ends["input"], given, strict=True)}
        for entry, number, call in _in_order(layers, first, set(made)):
            read = [_made(made, entry["name"], *source) for source in call.sources]
            placed = Call(tuple(read), call.constants)
            made[entry["name"], number] = self._call(entry, entry["name"], path, placed)
        found = {}
        for key, position in (("input", 0), ("output", 1)):
            found[key] = [
                _made(made, "the model", name, number - first.get(name, (0, 0))[position], tensor)
                for name, number, tensor, *_ in ends[key]
            ]
        return found["input"], found["output"]

    def _call(
        self, entry: Mapping[str, Any], name: str, path: tuple[str, ...], call: Call
    ) -> list[str]:
        """One call of a layer or a nested model: the names of its outputs."""
        kind, settings = entry["class_name"], entry["config"]
        stated = settings.get("name", name) if isinstance(settings, Mapping) else name
        if stated != name:
            raise UserError(f"Layer '{name}' ({kind}) is named '{stated}' in its settings.")
        if kind in MODELS:
            return self.model(entry, (*path, name), call.sources)[1]
        if is_operation(entry):
            kind, settings = operation_as_layer(entry, name, call)
        elif call.constants:
            shown = str(call.constants[0][1])[:60]
            raise UserError(f"Layer '{name}' is called with a constant ({shown}): not supported.")
        return [self._add((*path, name), kind, settings, tuple(call.sources))]

    def _add(
        self,
        path: tuple[str, ...],
        kind: str,
        settings: Mapping[str, Any],
        sources: tuple[str, ...],
    ) -> str:
        name = path[-1]
        if not (name and name.isprintable() and kind.isprintable()):
            raise UserError(f"Expected printable names of layers; got {name!r}, a {kind!r}.")
        if (kind == "InputLayer") == bool(sources):
            raise UserError(f"Layer '{name}' ({kind}) reads {list(sources) or 'nothing'}.")
        if len(self.entries) >= MOST_LAYERS:
            raise UserError(f"Expected at most {MOST_LAYERS} layers; nested models give more.")
        self._called[path] += 1
        number = self._called[path]
        given = "/".join(path) + (f"@{number}" if number > 1 else "")
        while given in self._names:  # 'a/b' may be one layer's own name
            given += "_"
        self._names.add(given)
        known = {key: plain_number(value) for key, value in settings.items()}
        kind = SAME_CLASS.get(kind, kind)
        self.entries.append(Entry(given, kind, known, sources, path))
        return given


def _refuse_twice(names: Counter[str]) -> None:
    for name, count in names.items():
        if count > 1:
            raise UserError(f"Two layers are named '{name}'.")


def _made(
    made: Mapping[tuple[str, int], Sequence[str]], reader: str, name: str, call: int, tensor: int
) -> str:
    found = made.get((name, call), ())
    if not 0 <= tensor < len(found):
        raise UserError(
            f"Layer '{reader}' reads output {tensor} of '{name}', call {call}: missing."
        )
    return found[tensor]


def _in_order(
    layers: Sequence[Mapping[str, Any]],
    first: Mapping[str, tuple[int, int]],
    done: set[tuple[str, int]],
) -> Iterator[tuple[Mapping[str, Any], int, Call]]:
    """Every call, each after what it reads; the file's order where that already suits."""
    calls: list[tuple[Mapping[str, Any], int, Call]] = []
    for entry in layers:
        listed = entry["inbound_nodes"]
        if entry["class_name"] == "InputLayer" and listed:
            read = [name for name, *_ in references(listed)]
            raise UserError(f"Layer '{entry['name']}' (InputLayer) reads {read}.")
        if not listed and (entry["name"], 0) not in done:
            calls.append((entry, 0, Call(())))
        for number, written in enumerate(listed):
            calls.append(
                (entry, number, sources_of(entry["name"], entry["class_name"], written, first))
            )
    waits: dict[tuple[str, int], list[int]] = {}
    missing: list[set[tuple[str, int]]] = []
    for index, (_, _, call) in enumerate(calls):
        wanted = {(name, number) for name, number, _ in call.sources} - done
        missing.append(wanted)
        for key in wanted:
            waits.setdefault(key, []).append(index)
    ready = [index for index, wanted in enumerate(missing) if not wanted]
    left = set(range(len(calls)))
    while ready:
        index = heapq.heappop(ready)
        left.remove(index)
        entry, number, _ = calls[index]
        yield calls[index]
        for waiting in waits.pop((entry["name"], number), []):
            missing[waiting].discard((entry["name"], number))
            if not missing[waiting]:
                heapq.heappush(ready, waiting)
    if left:
        names = ", ".join(dict.fromkeys(calls[index][0]["name"] for index in sorted(left)[:5]))
        raise UserError(f"Layers read each other in a circle or a missing layer: {names}.")


def _input_shape(inner: Any, entry: Mapping[str, Any]) -> Any:
    """What the first layer of a Sequential model without an InputLayer says of its input."""
    config = entry["config"]
    if entry["class_name"] in MODELS:
        listed = config["layers"] if isinstance(config, Mapping) else config
        if entry["class_name"] == "Sequential" and listed[0]["class_name"] != "InputLayer":
            return _input_shape(config, listed[0])
        found = next(each["config"] for each in listed if each["class_name"] == "InputLayer")
        return found.get("batch_shape") or found.get("batch_input_shape")
    shape = config.get("batch_input_shape")
    stated = inner.get("build_input_shape") if isinstance(inner, Mapping) else None
    return shape if shape is not None else stated
