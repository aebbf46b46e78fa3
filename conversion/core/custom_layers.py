"""A user's own layers: what the independent parts must know of them, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conversion.core.layer_rule import LayerRule, no_weights
from conversion.core.user_code import UserFile

Config = Mapping[str, Any]
Truth = Callable[..., Any]
"""Settings, weights by role in float64, and the inputs in float64, to the output ``(N, ...)``."""

Builder = Callable[[Config, Sequence[Sequence[int | None]]], Any]
"""Settings and input shapes to one `torch.nn.Module`."""


@dataclass(frozen=True)
class CustomLayer:
    """A layer class that the suite does not know by itself.

    Attributes:
        keras: imports Keras and returns the class; called in the process that runs Keras. None for
            a class of Keras itself, or one that another file registers.
        rule: output shape, weights, cost and allowed settings, as for any layer; by default the
            shape stays and there are no weights.
        truth: the arithmetic in float64 with numpy, ``truth(settings, weights, *inputs)``. Without
            it nothing can be judged: parity is undecided.
        torch: makes a PyTorch module, called as ``torch(settings, shapes)``; the module takes and
            gives Keras's layout, and its parameters and buffers have the names of the rule's roles.
            Without it the direct route says that it cannot.
    """

    keras: Callable[[], type] | None = None
    rule: LayerRule = field(default_factory=LayerRule)
    truth: Truth | None = None
    torch: Builder | None = None


@dataclass(frozen=True)
class Custom:
    """What the files of `--custom` hold.

    Attributes:
        files: as they were read.
        layers: class name to the layer.
    """

    files: tuple[UserFile, ...] = ()
    layers: Mapping[str, CustomLayer] = field(default_factory=dict)

    @property
    def provenance(self) -> dict[str, str]:
        """File name to SHA-256."""
        return {file.path.name: file.digest for file in self.files}

    @property
    def rules(self) -> dict[str, LayerRule]:
        """Class name to its rule; the weights of one that is a shape alone are not looked at."""
        return {kind: _rule(layer) for kind, layer in self.layers.items()}


def _rule(layer: CustomLayer) -> LayerRule:
    computed = layer.truth or layer.torch or layer.rule.weights is not no_weights
    return layer.rule if computed else replace(layer.rule, unread=True)
