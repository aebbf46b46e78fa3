"""Weights as Keras 3 saves them: `layers/<class>_<number>/vars/<position>` in HDF5.

The scheme is that of `keras.src.saving.saving_lib`: a place in the list of layers of each model is
named by the layer's class, in snake case, and by how many of that class came before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.layer_rule import LayerRule
from conversion.core.spec import Layer, Shape
from conversion.readers.arrays import behind_hard_links, checked
from conversion.readers.calls import is_operation
from conversion.readers.functional import read_layers
from conversion.readers.nested_models import other_class
from conversion.readers.notation import MODELS
from conversion.readers.parsing import text
from conversion.readers.schema import rules_with

LAYERS_GROUP, OLD_LAYERS = "layers", "_layer_checkpoint_dependencies"
"""The group of a model's layers, and what Keras 2.12 to 2.14 called it."""

OWN_NAMES = {"Model": "Functional", "GroupQueryAttention": "GroupedQueryAttention"}
"""A class by its name in a description, and by its own, which names the group of its weights."""

UNREAD = ("seed_generator", "metrics", "optimizer")
"""Groups below a layer, or a nested model, whose values only training reads."""


def places(
    config: Mapping[str, Any], counted_twice: Collection[str] = ()
) -> dict[tuple[str, ...], str]:
    """Where each layer's weights are.

    Args:
        config: the model's description.
        counted_twice: groups that Keras 2.12 and 2.13 counted twice: it met a layer with weights
            under two names and saved it under the first.

    Returns:
        A layer's path, from the outermost model, to its group in the file.
    """
    found: dict[tuple[str, ...], str] = {}
    _place(config, (), "", found, {}, counted_twice)
    return found


def _place(
    config: Mapping[str, Any],
    path: tuple[str, ...],
    where: str,
    found: dict[tuple[str, ...], str],
    shared: dict[int, str],
    counted_twice: Collection[str],
) -> None:
    inner = config["config"]
    listed = inner["layers"] if isinstance(inner, Mapping) else inner
    used = Counter[str]()
    for position, entry in enumerate(listed):
        kind = entry["class_name"]
        first_input = kind == "InputLayer" and position == 0
        if is_operation(entry) or (config["class_name"] == "Sequential" and first_input):
            continue
        word = _snake_case(OWN_NAMES.get(kind, kind.split(">")[-1]))
        number = used[word]
        own = f"{where}{LAYERS_GROUP}/{word}" + (f"_{number}" if number else "")
        used[word] += 2 if own in counted_twice else 1
        # An object that is in two models is saved where it is met first.
        known = entry.get("shared_object_id")
        own = own if known is None else shared.setdefault(known, own)
        inside = (*path, entry["config"]["name"])
        found[inside] = own
        if kind in MODELS:
            _place(entry, inside, f"{own}/", found, shared, counted_twice)


def _snake_case(name: str) -> str:
    """As Keras's `to_snake_case`: ``GlobalAveragePooling2D`` to ``global_average_pooling2d``."""
    plain = re.sub(r"\W+", "", name)
    plain = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", plain)
    return re.sub("([a-z])([A-Z])", r"\1_\2", plain).lower()


def read_saved(
    config: Mapping[str, Any], file_name: str, file: h5py.File, custom: Custom
) -> tuple[tuple[Layer, ...], tuple[str, ...], tuple[str, ...]]:
    """Layers, inputs and outputs of a description with the weights that Keras 3 saved.

    Args:
        config: the model's description, without code in it.
        file_name: of the weights, for errors.
        file: the weights.
        custom: the user's own layers.

    Raises:
        UserError: the two do not fit, or the model is of a class of its own.
    """
    if config.get("class_name") not in MODELS:
        raise other_class(config.get("class_name"))
    stored = _SavedWeights(file_name, config, file, rules_with(custom))
    found = read_layers(config, stored.arrays, custom)
    stored.check_layers()
    return found


@dataclass(frozen=True)
class Stored:
    """Where a file of weights has what today's Keras looks for.

    Attributes:
        places: a layer's path to its group, by the names that Keras 3 gives to groups.
        names: such a name of a group or array to the name that it has in the file.
    """

    places: Mapping[tuple[str, ...], str]
    names: Mapping[str, str]


def stored(config: Mapping[str, Any], file: h5py.File, file_name: str) -> Stored:
    """Where the weights of a description lie in a file of Keras 2.12 or later.

    Keras 2.12 to 2.14 named the group of the layers otherwise, 2.12 and 2.13 counted layers with
    weights twice, and all of them wrote the separators of Windows into the names.

    Args:
        config: the model's description.
        file: the weights.
        file_name: for errors.

    Raises:
        UserError: the file holds no such weights, or has some twice that differ.
    """
    names = _names(file, file_name)
    if not any(name.startswith(f"{LAYERS_GROUP}/") for name in names):
        raise UserError(f"Expected weights of Keras 3 in {file_name}; it has no 'layers'.")
    arrays = [name for name, own in names.items() if isinstance(file.get(own), h5py.Dataset)]
    read = [name for name in arrays if not _is_unread(name)]
    once = places(config)
    if _all_owned(read, once):
        return Stored(once, names)
    twice = places(config, {above for name in arrays for above in _above(name)})
    # Where neither fits, what is wrong is said as of a file of today.
    return Stored(twice if _all_owned(read, twice) else once, names)


def _names(file: h5py.File, file_name: str) -> dict[str, str]:
    """Everything below the layers by its name in Keras 3, each once."""
    found: dict[str, str] = {}

    def note(name: str) -> None:
        parts = name.replace("\\", "/").split("/")
        if parts[0] not in (LAYERS_GROUP, OLD_LAYERS):
            return
        today = "/".join(LAYERS_GROUP if part == OLD_LAYERS else part for part in parts)
        other = found.setdefault(today, name)
        if other != name and not _is_unread(today) and not _equal(file, other, name, file_name):
            raise UserError(
                f"{file_name} has weights twice, under '{other}' and '{name}', and they differ: "
                "save the model again."
            )

    file.visit(note)
    return found


def _equal(file: h5py.File, one: str, other: str, file_name: str) -> bool:
    """Whether two places hold the same weight; of two groups the members are compared.

    Raises:
        UserError: one of them is no weight that can be trusted, whatever the file says of its size.
    """
    first, second = (behind_hard_links(file, name) for name in (one, other))
    if isinstance(first, h5py.Group) and isinstance(second, h5py.Group):
        return True
    shapes = [getattr(each, "shape", None) for each in (first, second)]
    if shapes[0] is None or shapes[0] != shapes[1]:
        return False
    ours, theirs = (checked(file, n, f"{file_name}: '{n}'", shapes[0]) for n in (one, other))
    return bool(np.array_equal(ours, theirs))


def _above(name: str) -> list[str]:
    """A place and all that it lies in, from the outside in."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def owner(name: str, groups: Collection[str]) -> str | None:
    """The innermost of some groups that an array lies in; None where it lies in none.

    Args:
        name: the array's.
        groups: their names.
    """
    return next((each for each in reversed(_above(name)) if each in groups), None)


def _all_owned(names: Iterable[str], layers: Mapping[tuple[str, ...], str]) -> bool:
    """Whether every array belongs to a layer."""
    groups = {*layers.values()}
    return all(owner(name, groups) for name in names)


def _is_unread(name: str) -> bool:
    return not {*UNREAD}.isdisjoint(name.split("/"))


class _SavedWeights:
    """Arrays by layer and role, checked before they are trusted."""

    def __init__(
        self,
        file_name: str,
        config: Mapping[str, Any],
        file: h5py.File,
        rules: Mapping[str, LayerRule],
    ) -> None:
        """Look into a file.

        Args:
            file_name: for errors.
            config: the model's description.
            file: what Keras 3 saved.
            rules: layer class to what the reader knows of it.

        Raises:
            UserError: the file holds no such weights.
        """
        self._file_name, self._file, self._rules = file_name, file, rules
        found = stored(config, file, file_name)
        self._places, self._names = found.places, found.names
        self._claimed: set[str] = set()

    def arrays(
        self, path: tuple[str, ...], kind: str, expected: Mapping[str, Shape]
    ) -> Mapping[str, np.ndarray]:
        """The weights of a layer by role, in the order that Keras reads them.

        Raises:
            UserError: a weight is missing, left over, of another shape or type, behind a link, or
                not finite.
        """
        place = self._places.get(path)
        if place is None:  # an input that the model did not write down, or an operation
            return {}
        if self._rules[kind].unread:
            self._claimed.add(place)
            return {}
        parts: dict[str, list[str]] = {"": []}
        for role in expected:
            parts.setdefault(role.rpartition("/")[0], []).append(role)
        found: dict[str, np.ndarray] = {}
        for part, roles in parts.items():
            inside = f"{place}/{part}/vars" if part else f"{place}/vars"
            own = {role: expected[role] for role in roles}
            found.update(self._vars(inside, path, kind, own))
        return {role: found[role] for role in expected}

    def _vars(
        self, place: str, path: tuple[str, ...], kind: str, expected: Mapping[str, Shape]
    ) -> dict[str, np.ndarray]:
        """The weights that one group `vars` holds, by position."""
        layer = "/".join(path)
        group = behind_hard_links(self._file, self._names.get(place, place))
        found = list(group) if isinstance(group, h5py.Group) else []
        counts = len(self._rules[kind].counts)
        wanted = [str(position) for position in range(len(expected))]
        if sorted(found) != sorted(wanted) and len(found) != len(expected) + counts:
            raise UserError(
                f"{self._file_name}: layer '{layer}' ({kind}) should have {len(expected)} weights "
                f"({', '.join(expected) or 'none'}) in '{place}'; the file has {len(found)}."
            )
        own = place.count("/") == self._places[path].count("/") + 1
        if own and found and "name" in group.attrs and text(group.attrs["name"]) != path[-1]:
            raise UserError(
                f"{self._file_name}: '{place}' should hold the weights of '{path[-1]}'; it says "
                f"that they are those of '{text(group.attrs['name'])}'."
            )
        self._claimed |= {f"{place}/{name}" for name in found}
        return {
            role: checked(
                self._file,
                self._names.get(f"{place}/{position}", f"{place}/{position}"),
                f"{self._file_name}: weight '{layer}/{role}'",
                expected[role],
            )
            for position, role in enumerate(expected)
        }

    def check_layers(self) -> None:
        """Refuse weights that belong to no layer.

        Raises:
            UserError: the file has some.
        """
        left = [
            own
            for name, own in self._names.items()
            if isinstance(self._file[own], h5py.Dataset)
            and not _is_unread(name)
            and owner(name, self._claimed) is None
        ]
        if left:
            raise UserError(
                f"{self._file_name} stores '{left[0]}', a weight of no layer that the model has."
            )
