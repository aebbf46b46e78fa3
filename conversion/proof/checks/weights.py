"""Weights: does an ONNX graph, whoever made it, hold the spec's own?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from conversion.core.measurement import Measurement
from conversion.core.spec import Layer, Spec
from conversion.proof.checks.case import Case
from conversion.proof.metrics import folding, weights
from conversion.proof.metrics.weights import Held
from conversion.proof.taps.alignment import Alignment, Place, align
from conversion.proof.taps.graph import Operation
from conversion.proof.taps.kernels import kernels, output_axis
from conversion.proof.taps.stages import is_affine

if TYPE_CHECKING:
    from onnx import ModelProto


def onnx_weights(case: Case) -> list[Measurement]:
    """Every stored weight of a float graph is the spec's: bit by bit, folded ones in rounding."""
    from conversion.backends import onnx_file

    return _weights_of(case, onnx_file.load(case.artifact.path))


def torch_via_onnx_weights(case: Case) -> list[Measurement]:
    """The same of the graph that an onnx2torch module is rebuilt from."""
    import onnx

    from conversion.backends import torch_via_onnx

    return _weights_of(case, onnx.load_from_string(torch_via_onnx.graph_in(case.artifact.path)))


def _weights_of(case: Case, model: ModelProto) -> list[Measurement]:
    from conversion.proof.taps.onnx_operations import graph_of

    case.require_map()
    spec = case.workspace.spec
    alignment = align(spec, graph_of(model))
    held, missing = held_weights(spec, alignment)
    return weights.weights(case.about, [layer.name for layer in spec.layers], held, missing)


def litert_weights(case: Case) -> list[Measurement]:
    """Every stored weight of a float LiteRT file is the spec's, folded ones in rounding."""
    case.require_map()
    from conversion.backends.litert_file import load
    from conversion.proof.checks.int8.litert_rewrites import honest, rewritten
    from conversion.proof.taps.litert_operations import graph_of

    spec = case.workspace.spec
    alignment = align(spec, graph_of(load(case.artifact.path), spec))
    held, missing = held_weights(spec, alignment)
    unjudged = {} if case.artifact.external else rewritten(spec)
    held = [each for each in held if each.layer not in unjudged]
    missing = [name for name in missing if name not in unjudged]
    order = [layer.name for layer in spec.layers]
    return honest(weights.weights(case.about, order, held, missing), unjudged)


def held_weights(spec: Spec, alignment: Alignment) -> tuple[list[Held], list[str]]:
    """What a float graph holds of the spec's weights.

    Args:
        spec: the model.
        alignment: the spec laid over the graph.

    Returns:
        Every weight that was found, in the spec's order, and the layers of which one was not.
    """
    held: list[Held] = []
    missing: list[str] = []
    folded = {name for layer in spec.layers for name in _folded(spec, alignment, layer)}
    for layer in spec.layers:
        if layer.name in folded or not (layer.weights or is_affine(layer)):
            continue
        try:
            held += held_by(spec, alignment, layer)
        except (KeyError, IndexError):  # an operation or a constant of the layer is not there
            missing.append(layer.name)
    return held, missing


def held_by(spec: Spec, alignment: Alignment, layer: Layer) -> list[Held]:
    """What a float graph holds of the weights of one layer.

    Args:
        spec: the model.
        alignment: the spec laid over the graph.
        layer: one with weights, which is not folded into another.

    Raises:
        KeyError: an operation of it is not there.
        IndexError: a constant of it is not there.
    """
    place = alignment.places[layer.name]
    if kernels(layer):
        chain = [spec.layer(name) for name in _folded(spec, alignment, layer)]
        return list(_kernel(layer, chain, alignment))
    if "norm" in (operation.kind for operation in place.operations):
        return list(_norm(layer, place))
    if not is_affine(layer) or not place.operations:
        raise KeyError(layer.name)
    return list(_affine(layer, place.operations))


def _folded(spec: Spec, alignment: Alignment, layer: Layer) -> list[str]:
    """Layers that are folded into a kernel, in order."""
    if not kernels(layer):
        return []
    group = alignment.places[layer.name].group
    following = group[group.index(layer.name) + 1 :]
    end = next((i for i, name in enumerate(following) if not is_affine(spec.layer(name))), None)
    return list(following[:end])


def _kernel(layer: Layer, chain: Sequence[Layer], alignment: Alignment) -> Iterator[Held]:
    place = alignment.places[layer.name]
    *before, wanted = kernels(layer)
    holding = [o for o in place.operations if "kernel" in o.constants]
    if len(holding) != len(before) + 1:
        raise KeyError(layer.name)
    for operation, first in zip(holding[:-1], before, strict=True):
        words = f"the depthwise kernel of {layer.name}"
        terms = None if place.factor == 1 else np.abs(first * place.factor)
        scaled = first if terms is None else first.astype(np.float64) * place.factor
        yield Held(layer.name, words, operation.constants["kernel"], scaled, terms)
    stored, axis = holding[-1], output_axis(layer)
    found, bias = stored.constants["kernel"], layer.weights.get("bias")
    after = [operation for operation in place.operations if operation.kind == "shift"]
    for each in chain:
        after += alignment.places[each.name].operations
    last = chain[-1].name if chain else layer.name
    rest = _composed(after, stored.constants.get("bias"))
    if not chain:
        plain = np.zeros(wanted.shape[axis], np.float32) if bias is None else bias
        terms = None if place.factor == 1 or before else np.abs(wanted * place.factor)
        scaled = wanted if terms is None else wanted.astype(np.float64) * place.factor
        yield Held(last, f"the kernel of {layer.name}", found, scaled, terms)
        same = np.asarray(np.broadcast_to(rest.offset, plain.shape) if rest else np.nan)
        yield Held(last, f"the bias of {layer.name}", same.astype(np.float32), plain)
        return
    whole, offset = folding.folded(wanted, bias, chain, axis)
    whole = whole if before else whole * place.factor
    scaled = np.asarray(np.nan)
    if rest is not None and found.shape == wanted.shape:
        scaled = found.astype(np.float64) * folding.along(rest.factor, wanted.ndim, axis)
    words = f"{layer.name} with {' and '.join(each.name for each in chain)} folded in"
    yield Held(last, f"the kernel of {words}", scaled, whole, np.abs(whole))
    shift = np.asarray(np.nan) if rest is None else rest.offset
    yield Held(last, f"the bias of {words}", shift, offset.offset, offset.terms)


def _affine(layer: Layer, operations: Sequence[Operation]) -> Iterator[Held]:
    """Multiplied and added constants, as tf2onnx writes BatchNormalization."""
    wanted, found = folding.affine(layer), _composed(operations, None)
    factor, offset = (found.factor, found.offset) if found else (np.nan, np.nan)
    name = layer.name
    factors = np.asarray(factor), wanted.factor, np.abs(wanted.factor)
    yield Held(name, f"the factor of {name}", *factors)
    yield Held(name, f"the offset of {name}", np.asarray(offset), wanted.offset, wanted.terms)


def _norm(layer: Layer, place: Place) -> Iterator[Held]:
    """An operator for batch normalization, which keeps the four statistics as they are."""
    constants = next(o.constants for o in place.operations if o.kind == "norm")
    roles = ("mean", "variance", "gamma", "beta")
    for role, wanted in zip(roles, folding.statistics(layer, np.float32), strict=True):
        yield Held(layer.name, f"the {role} of {layer.name}", constants[role], wanted)
    eps = np.float32(layer.config["epsilon"]).reshape(1)
    found = np.asarray(constants["epsilon"], np.float32).reshape(1)
    yield Held(layer.name, f"the epsilon of {layer.name}", found, eps)


def _composed(operations: Sequence[Operation], bias: Any) -> folding.Affine | None:
    """What constants do to each channel; None where one of them is of no channel."""
    try:
        first = folding.identity(0.0 if bias is None else folding.per_channel(bias))
        return first.then(folding.composed([(o.kind, o.constants) for o in operations]))
    except ValueError:
        return None
