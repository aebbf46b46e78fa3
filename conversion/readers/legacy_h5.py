"""Legacy `.h5` files of Keras 2 and Keras 3, read with h5py and JSON alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conversion.core import digest
from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.layer_rule import LayerRule
from conversion.core.spec import Layer, Shape, Spec
from conversion.readers.arrays import behind_hard_links, checked
from conversion.readers.axis_guard import refuse_forgotten_axes
from conversion.readers.code_guard import refuse_code
from conversion.readers.functional import read_layers
from conversion.readers.keras_1 import role_of_keras_1
from conversion.readers.older_versions import restated
from conversion.readers.parsing import (
    hdf5,
    in_one_sentence,
    model_name,
    one_line,
    parsed,
    text,
)
from conversion.readers.replacing import replaced
from conversion.readers.schema import rules_with

Ends = tuple[str, ...]


def read(path: Path, content: bytes, custom: Custom) -> Spec:
    """Read a legacy `.h5` file.

    Args:
        path: the file, for the sentences of errors.
        content: its bytes, the only thing that is read: the digest is theirs.
        custom: the user's own layers.

    Returns:
        The spec.

    Raises:
        UserError: the file does not hold a whole, supported and finite Keras model.
    """

    def whole() -> Spec:
        with hdf5(content) as file:
            return _read_open(path, content, file, custom)

    return in_one_sentence(path, "a Keras model in HDF5", whole)


def _read_open(path: Path, content: bytes, file: h5py.File, custom: Custom) -> Spec:
    raw = file.attrs.get("model_config")
    if raw is None:
        raise UserError(
            f"Expected a model in {path}; the HDF5 file has no 'model_config': weights alone do "
            f"not say what the layers are: {_way_on(path)}."
        )
    version = one_line(text(file.attrs.get("keras_version", "unknown")))
    config = parsed(raw, f"'model_config' of {path}")
    config = replaced(config, custom.replaced, custom.layers)
    refuse_code(config, path.name, custom.layers)
    restated(config, version)
    group = behind_hard_links(file, "model_weights")
    if not isinstance(group, h5py.Group):
        raise UserError(f"Expected a group 'model_weights' in {path}; the file has none.")
    layers, inputs, outputs = read_weighted(config, path.name, group, custom)
    refuse_forgotten_axes(layers)
    return Spec(
        name=model_name(config),
        layers=layers,
        inputs=inputs,
        outputs=outputs,
        digest=digest.of_bytes(content),
        keras_version=version,
        custom=custom,
    )


def _way_on(path: Path) -> str:
    """What can be done about weights alone."""
    beside = path.with_suffix(".json")
    if beside.is_file():
        return f"pass {beside.name}, which is beside it"
    return (
        "pass the JSON of model.to_json() with its weights beside it, or name a Python file with a "
        "function model() that returns the Keras model: --custom FILE.py (docs/custom.md)"
    )


def read_weighted(
    config: Mapping[str, Any], file_name: str, group: h5py.Group, custom: Custom
) -> tuple[tuple[Layer, ...], Ends, Ends]:
    """Layers, inputs and outputs of a description with the weights that a group holds.

    Args:
        config: the model's description, without code in it.
        file_name: of the weights, for errors.
        group: has a group a layer, and their order in ``layer_names``.
        custom: the user's own layers.

    Raises:
        UserError: the two do not fit.
    """
    stored = _StoredWeights(file_name, group, rules_with(custom))
    layers, inputs, outputs = read_layers(config, stored.arrays, custom)
    inner = config["config"]
    written = inner["layers"] if isinstance(inner, Mapping) else inner
    weighted = {(layer.path or (layer.name,))[0] for layer in layers if layer.weights}
    weighted |= stored.unread
    order = [entry["config"]["name"] for entry in written if isinstance(entry["config"], Mapping)]
    stored.check_layers([name for name in order if name in weighted])
    return layers, inputs, outputs


def _listed(group: h5py.Group, key: str) -> list[str]:
    """Names in an attribute; Keras spreads a long list over `key0`, `key1` and so on."""
    attributes = group.attrs
    parts = takewhile(attributes.__contains__, (f"{key}{number}" for number in count()))
    keys = [key] if key in attributes else parts
    return [text(name) for part in keys for name in attributes[part]]


class _StoredWeights:
    """The group `model_weights`: arrays by layer and role, checked before they are trusted."""

    def __init__(self, file_name: str, group: h5py.Group, rules: Mapping[str, LayerRule]) -> None:
        self._file_name, self._group, self._rules = file_name, group, rules
        self._claimed: set[tuple[str, str]] = set()
        self.unread: set[str] = set()
        """Outermost layers with weights that are not looked at."""

    def arrays(
        self, path: tuple[str, ...], kind: str, expected: Mapping[str, Shape]
    ) -> Mapping[str, np.ndarray]:
        """The weights of a layer by role, in the order that Keras reads them.

        Raises:
            UserError: a weight is missing, left over, of another shape or type, out of order,
                behind a link, or not finite.
        """
        top, layer, rule = path[0], "/".join(path), self._rules[kind]
        aliases, counts = rule.aliases, rule.counts
        own = self._names(top) if len(path) == 1 else _of_inner(self._names(top), path)
        self._claimed |= {(top, name) for name in own}
        if rule.unread:
            self.unread |= {top} if own else set()
            return {}
        names = [name for name in own if _role(name, aliases) not in counts]
        roles = [_role(name, aliases) for name in names]
        known = [role.rpartition("/")[2] for role in expected]
        if sorted(roles) != sorted(known):
            wanted, found = ", ".join(expected) or "none", ", ".join(roles) or "none"
            raise UserError(
                f"{self._file_name}: layer '{layer}' ({kind}) should have the weights {wanted}; "
                f"the file has {found}."
            )
        if roles != known:
            # Keras loads by position, so names in another order mean a swap that it cannot see.
            raise UserError(
                f"{self._file_name}: layer '{layer}' ({kind}) lists its weights as "
                f"{', '.join(roles)}; Keras reads them as {', '.join(known)}."
            )
        return {
            role: checked(
                self._group,
                f"{top}/{name}",
                f"{self._file_name}: weight '{layer}/{role}'",
                expected[role],
            )
            for role, name in zip(expected, names, strict=True)
        }

    def check_layers(self, expected: Sequence[str]) -> None:
        """Refuse a list of layers with weights that is not the model's.

        Args:
            expected: the outermost layers that have weights, in the order of the configuration.

        Raises:
            UserError: the file lists one more, one less, or another order; Keras reads layers by
                their position in this list.
        """
        found = [name for name in _listed(self._group, "layer_names") if self._names(name)]
        for name in found:
            if name not in expected:
                raise UserError(
                    f"{self._file_name} stores weights for '{name}', a layer that the model lacks."
                )
        for position, name in enumerate(expected):
            if found[position : position + 1] != [name]:
                listed = found[position] if position < len(found) else "nothing"
                raise UserError(
                    f"{self._file_name}: 'layer_names' should list '{name}' as number "
                    f"{position + 1} of the layers with weights; it lists {listed}."
                )
            for weight in self._names(name):
                if (name, weight) not in self._claimed:
                    raise UserError(
                        f"{self._file_name} stores '{weight}' in '{name}', for a layer that the "
                        "model lacks there."
                    )

    def _names(self, layer: str) -> list[str]:
        group = behind_hard_links(self._group, layer)
        return _listed(group, "weight_names") if isinstance(group, h5py.Group) else []


def _of_inner(names: Sequence[str], path: tuple[str, ...]) -> list[str]:
    """The weights of a layer inside a nested model, among all those that the model lists.

    Keras 3 writes ``inner/kernel`` with every model between, Keras 2 often the layer's name alone.
    """
    owners = {name: name.rsplit("/", 1)[0] for name in names}
    suffixes = ["/".join(path[start:]) for start in (*range(1, len(path)), 0)]
    for suffix in suffixes:
        found = [name for name, owner in owners.items() if owner == suffix]
        if found:
            return found
    for suffix in suffixes:
        found = [name for name, owner in owners.items() if owner.endswith(f"/{suffix}")]
        if found:
            return found
    return []


def _role(name: str, aliases: Mapping[str, str]) -> str:
    last = name.rsplit("/", 1)[-1].split(":", 1)[0]
    if "/" not in name and (role := role_of_keras_1(last)):
        return role
    # A weight that the layer gives no name has Keras's, with a number.
    return aliases.get(last) or aliases.get(re.sub(r"_\d+$", "", last), last)
