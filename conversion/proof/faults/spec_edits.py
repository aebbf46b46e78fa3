"""Ways to misread a spec: other weights, other settings, layers too many or too few."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from conversion.core.spec import Layer, Spec
from conversion.proof.faults.injection import rebuilt

Change = Callable[[Spec], Spec]
OfArray = Callable[[np.ndarray], np.ndarray]


def weights(layers: str, role: str, change: OfArray) -> Change:
    """Other weights of one role.

    Args:
        layers: names of layers, separated by spaces.
        role: ``kernel``, ``bias``, ``gamma``, ...
        change: gives the other weights, in Keras's layout.
    """

    def changed(spec: Spec, name: str) -> Spec:
        other = np.ascontiguousarray(change(spec.layer(name).weights[role]), dtype=np.float32)
        return rebuilt(spec, name, weights={role: other})

    return lambda spec: reduce(changed, layers.split(), spec)


def every_weight(change: OfArray, roles: tuple[str, ...] = ()) -> Change:
    """Other weights in every layer.

    Args:
        change: gives the other weights.
        roles: only these; all of them by default.
    """

    def changed(layer: Layer) -> Layer:
        found = {
            role: np.ascontiguousarray(change(array), dtype=np.float32)
            if not roles or role in roles
            else array
            for role, array in layer.weights.items()
        }
        return replace(layer, weights=found) if found else layer

    return lambda spec: replace(spec, layers=tuple(changed(layer) for layer in spec.layers))


def roles_exchanged(layer: str, first: str, second: str) -> Change:
    """Two roles of a layer's weights for each other."""

    def change(spec: Spec) -> Spec:
        found = spec.layer(layer).weights
        return rebuilt(spec, layer, weights={first: found[second], second: found[first]})

    return change


def twins_exchanged(first: str, second: str) -> Change:
    """All weights of two layers of one shape for each other."""

    def change(spec: Spec) -> Spec:
        one, two = spec.layer(first).weights, spec.layer(second).weights
        return rebuilt(rebuilt(spec, first, weights=two), second, weights=one)

    return change


def without_bias(layers: str) -> Change:
    """Layers that lose their bias."""

    def changed(spec: Spec, name: str) -> Spec:
        layer = spec.layer(name)
        kept = {role: array for role, array in layer.weights.items() if role != "bias"}
        other = replace(layer, weights=kept, config={**layer.config, "use_bias": False})
        return _exchanged(spec, layer, [other])

    return lambda spec: reduce(changed, layers.split(), spec)


def epsilon(change: Callable[[float], float], layers: str = "") -> Change:
    """Another eps of BatchNormalization.

    Args:
        change: gives the other one.
        layers: names of layers, separated by spaces; all of them by default.
    """

    def changed(spec: Spec, layer: Layer) -> Spec:
        found = float(layer.config["epsilon"])
        return rebuilt(spec, layer.name, config={"epsilon": change(found)})

    def all_changed(spec: Spec) -> Spec:
        norms = [layer for layer in spec.layers if layer.kind == "BatchNormalization"]
        wanted = layers.split() or [layer.name for layer in norms]
        return reduce(changed, (layer for layer in norms if layer.name in wanted), spec)

    return all_changed


def settings(layers: str, **config: Any) -> Change:
    """Other settings of layers, their names separated by spaces."""
    return lambda spec: reduce(
        lambda found, name: rebuilt(found, name, config=config), layers.split(), spec
    )


def reads(layer: str, *sources: str) -> Change:
    """A layer that reads other ones."""
    return lambda spec: rebuilt(spec, layer, inputs=sources)


def becomes(layers: str, kind: str, **config: Any) -> Change:
    """Layers of another class without weights."""

    def changed(spec: Spec, name: str) -> Spec:
        layer = spec.layer(name)
        return _exchanged(spec, layer, [replace(layer, kind=kind, config=config, weights={})])

    return lambda spec: reduce(changed, layers.split(), spec)


def behind(name: str, kind: str, config: Mapping[str, Any]) -> Change:
    """A layer too many: whatever reads the named one reads it."""

    def change(spec: Spec) -> Spec:
        layer = spec.layer(name)
        extra = replace(
            layer, name=f"{name}_extra", kind=kind, config=config, inputs=(name,), weights={}
        )
        rewired = replace(spec, layers=tuple(_rewired(each, extra) for each in spec.layers))
        outputs = tuple(extra.name if each == name else each for each in spec.outputs)
        return replace(_exchanged(rewired, layer, [layer, extra]), outputs=outputs)

    return change


def ahead(name: str, kind: str, config: Mapping[str, Any]) -> Change:
    """A layer too many between the named one and what it reads; others read what they did."""

    def change(spec: Spec) -> Spec:
        layer = spec.layer(name)
        source = spec.layer(layer.inputs[0])
        extra = replace(
            source,
            name=f"{name}_extra",
            kind=kind,
            config=config,
            inputs=(source.name,),
            weights={},
        )
        return _exchanged(spec, layer, [extra, replace(layer, inputs=(extra.name,))])

    return change


def then(*changes: Change) -> Change:
    """Several changes, one after the other."""
    return lambda spec: reduce(lambda found, change: change(found), changes, spec)


def _rewired(layer: Layer, extra: Layer) -> Layer:
    (source,) = extra.inputs
    if source not in layer.inputs:
        return layer
    return replace(
        layer, inputs=tuple(extra.name if each == source else each for each in layer.inputs)
    )


def _exchanged(spec: Spec, layer: Layer, others: list[Layer]) -> Spec:
    """The spec with a layer's place taken by others."""
    found: list[Layer] = []
    for each in spec.layers:
        found += others if each.name == layer.name else [each]
    return replace(spec, layers=tuple(found))
