"""Layers that a user brings in a Python file: what each of the four independent parts must know.

    LAYERS = {"Doubled": CustomLayer(keras=..., rule=LayerRule(...), truth=..., torch=...)}

`docs/custom.md` is the guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from conversion import truth
from conversion.errors import NoTruth, UserError
from conversion.readers import code_guard, schema
from conversion.readers.rules import LayerRule as LayerRule
from conversion.readers.rules import no_weights
from conversion.spec import Layer
from conversion.user_code import UserFile, execute, user_files

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
    """What a user's files bring.

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


_NOTHING = Custom()
_CURRENT: ContextVar[Custom] = ContextVar("custom", default=_NOTHING)


def current() -> Custom:
    """What has been brought here; nothing outside of `brought`."""
    return _CURRENT.get()


def load(paths: Sequence[str | Path]) -> Custom:
    """Execute a user's files and gather their layers.

    A file that imports Keras at its top is left to the process that runs Keras.

    Args:
        paths: Python files that the user named.

    Raises:
        UserError: a file cannot be executed, or names a layer that is known already.
    """
    files = user_files(paths)
    layers: dict[str, CustomLayer] = {}
    for file in files:
        if file.is_for_keras:
            continue
        name = file.path.name
        for kind, layer in _layers(name, vars(execute(file)).get("LAYERS")).items():
            if kind in schema.LAYERS or kind in layers:
                raise UserError(f"{name} brings a layer '{kind}', which is known already.")
            layers[kind] = layer
    return Custom(files, layers)


def _layers(name: str, found: Any) -> dict[str, CustomLayer]:
    listed = found if isinstance(found, Mapping) else {"": found}
    layers = {kind: each for kind, each in listed.items() if isinstance(each, CustomLayer)}
    if len(layers) != len(listed):
        raise UserError(
            f"Expected {name} to have LAYERS, class names to CustomLayer (docs/custom.md); it has "
            f"{type(found).__name__}. A file with Keras classes alone imports keras at its top."
        )
    return layers


@contextmanager
def brought(custom: Custom) -> Iterator[Custom]:
    """Make a user's layers known to the reader and the truth, until the end of the block."""
    token = _CURRENT.set(custom)
    try:
        for kind, layer in custom.layers.items():
            alone = layer.truth is None and layer.torch is None and layer.rule.weights is no_weights
            schema.LAYERS[kind] = replace(layer.rule, unread=alone)
            truth.LAYERS[kind] = _exact(kind, layer)
            code_guard.BROUGHT.add(kind)
        yield custom
    finally:
        for kind in custom.layers:
            schema.LAYERS.pop(kind, None)
            truth.LAYERS.pop(kind, None)
            code_guard.BROUGHT.discard(kind)
        _CURRENT.reset(token)


def _exact(kind: str, brings: CustomLayer) -> Callable[..., np.ndarray]:
    """The user's function as the truth calls its own."""

    def compute(layer: Layer, *values: np.ndarray) -> np.ndarray:
        if brings.truth is None:
            raise NoTruth(
                f"layer '{layer.name}' is a {kind}, for which the --custom file brings no truth: "
                "parity cannot be judged"
            )
        weights = {role: array.astype(np.float64) for role, array in layer.weights.items()}
        found = np.asarray(brings.truth(layer.config, weights, *values), dtype=np.float64)
        stated = (len(values[0]), *layer.shape)
        if len(found.shape) != len(stated) or any(
            size not in (None, given) for given, size in zip(found.shape, stated, strict=True)
        ):
            raise UserError(
                f"Expected the truth of {kind} to give '{layer.name}' as {stated}, which is the "
                f"shape by its rule; it gives {found.shape}."
            )
        return found

    return compute
