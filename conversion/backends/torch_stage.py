"""One module of a layer in PyTorch, and the layout in which it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

Layout = Literal["source", "channels_first", "any"]
"""What a module takes and gives: Keras's own layout, ``(N, C, H, W)``, or whichever comes."""

Config = Mapping[str, Any]
Shape = Sequence[int | None]


@dataclass(frozen=True)
class Stage:
    """One module of a layer.

    Attributes:
        suffix: added to the layer's name; empty for the module that holds the weights.
        module: the module.
        layout: the layout that it works in.
        gives: the layout of what it returns, where that is another one.
    """

    suffix: str
    module: nn.Module
    layout: Layout = "any"
    gives: Layout | None = None


Builder = Callable[[Config, Sequence[Shape]], list[Stage]]
"""From a layer's settings and the shapes of its inputs to its modules, in order."""
