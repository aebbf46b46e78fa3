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
    """What the files of `--custom` hold, and what `--replace` says.

    Attributes:
        files: as they were read.
        layers: class name to the layer.
        replaced: name of a layer of the file to ``class_name`` and ``config`` of what the user put
            in its place.
        by_keras: gives a layer's output ``(N, ...)`` in float64 as Keras computes it, from the
            layer and its inputs; None where no process for it is known.
    """

    files: tuple[UserFile, ...] = ()
    layers: Mapping[str, CustomLayer] = field(default_factory=dict)
    replaced: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    by_keras: Truth | None = None

    @property
    def provenance(self) -> dict[str, str]:
        """File name to SHA-256, and what stands in place of which layer."""
        files = {file.path.name: file.digest for file in self.files}
        return files | {f"in place of {name}": words(new) for name, new in self.replaced.items()}

    @property
    def rules(self) -> dict[str, LayerRule]:
        """Class name to its rule; the weights of one that is a shape alone are not looked at."""
        return {kind: _rule(layer) for kind, layer in self.layers.items()}


def words(new: Mapping[str, Any]) -> str:
    """A layer as it is typed: its class and settings."""
    settings = ", ".join(f"{key}={value!r}" for key, value in new["config"].items())
    return f"{new['class_name']}({settings})"


def _rule(layer: CustomLayer) -> LayerRule:
    computed = layer.truth or layer.torch or layer.rule.weights is not no_weights
    return layer.rule if computed else replace(layer.rule, unread=True)
