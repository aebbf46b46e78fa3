"""A network while it is drawn: its layers so far, the shapes of what they give, and the choices.

Every choice is one of a list, simplest first: hypothesis makes it, and shrinks it, or a seed does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from keras_notation import Described, Read, entry

Choose = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True)
class Value:
    """What a layer gives: what reads it, and its shape without the batch, channels last."""

    read: Read
    shape: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Height and width, or however many there are."""
        return self.shape[:-1]

    @property
    def channels(self) -> int:
        return self.shape[-1]


@dataclass
class Drawing:
    """A model while it is drawn.

    Attributes:
        choose: one of a list.
        in_settings: whether a layer may stand in another's settings, as no .h5 file can hold it.
        layers: so far.
        names: numbers for names, shared with the models inside.
    """

    choose: Choose
    in_settings: bool = True
    layers: list[Described] = field(default_factory=list)
    names: Any = field(default_factory=count)

    def add(
        self,
        kind: str,
        value: Value | list[Value],
        shape: tuple[int, ...] | None = None,
        **config: Any,
    ) -> Value:
        """A layer that reads one value or several; its shape is that of the first by default."""
        several = isinstance(value, list)
        name = f"{kind.lower()}_{next(self.names)}"
        reads = [each.read for each in value] if several else value.read
        self.layers.append(entry(kind, name, reads, **config))
        first = value[0] if several else value
        return Value(name, first.shape if shape is None else shape)

    def given(self, name: str, shape: tuple[int, ...]) -> Value:
        """An input."""
        config = {"batch_shape": [None, *shape], "dtype": "float32"}
        self.layers.append(entry("InputLayer", name, **config))
        return Value(name, shape)

    def one_in(self, cases: int) -> bool:
        """Whether it is one of so many cases."""
        return self.choose(range(cases)) == cases - 1
